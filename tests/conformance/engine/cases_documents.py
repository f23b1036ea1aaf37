# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for what documents can say: limits, exclusions, bases."""

from __future__ import annotations

from functools import partial

from cases_engine import ENGINE, declare, fails, nearest, vfinfo
from cases_properties import netdev_of, settle
from cases_selectors import meant
from harness import DEVICES, Pf, case, require
from kvmfleet_sriov._model import errors


@case(interfaces=ENGINE)
def case_document_at_most(pf: Pf) -> None:
    """So many VFs as the PF has, where more are allowed."""
    total = int(pf.files.read(f"{pf.path}/sriov_totalvfs"))
    for most, number in ((2, 2), (65535, total)):
        spec = {"hardware_vfs": {"at_most": most}, "present_vfs": "0"}
        declare(pf, {**spec, "allow_disruptive": True})
        pf.is_state(number, nearest(pf, {0}, number))
        again = declare(pf, spec)
        require(not again["changed"], f"the second run of {spec} did {again['steps']}")
        declare(pf, {"hardware_vfs": 0, "present_vfs": "none", "allow_disruptive": True})


@case(interfaces=ENGINE)
def case_document_all_but_one_driver(pf: Pf) -> None:
    """All PFs but those of this PF's driver."""
    mine = pf.files.link(f"{pf.path}/driver")
    pfs = [name for name in pf.files.names(DEVICES) if pf.files.exists(f"{DEVICES}/{name}/sriov_totalvfs")]
    others = [name for name in pfs if pf.files.link(f"{DEVICES}/{name}/driver") not in (mine, None)]
    if others:
        found = meant(pf, {"not": {"driver": mine}, "all": True})
        require(found == others, f"all but those of {mine} are {found}, not {others}")
    fails(errors.BadInputError, "is not on this host", partial(meant, pf, {"driver": mine, "not": {"driver": mine}}))


@case(interfaces=ENGINE)
def case_document_vlans_from_a_base(pf: Pf) -> None:
    """A VLAN of its own for each VF, from one base."""
    netdev = netdev_of(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "none"})
    settle(pf, {"ids": "all", "vlan": "100+id"})
    vlans = [vfinfo(pf, netdev)[i]["vlan_list"][0]["vlan"] for i in (0, 1)]
    require(vlans == [100, 101], f"the VLANs are {vlans}")
    fails(
        errors.BadInputError,
        "vlan: 4094+id is 4095 for VF 1",
        partial(declare, pf, {"vfs": [{"ids": "all", "vlan": "4094+id"}]}),
    )
