# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for what documents can say: limits, exclusions, bases."""

from __future__ import annotations

from functools import partial
from typing import Any

from cases_engine import ENGINE, VFIO, declare, driver, fails, nearest, needs_vfio, vfinfo
from cases_properties import netdev_of, settle
from cases_selectors import meant
from cases_users import interface_of
from harness import DEVICES, Pf, case, require
from kvmfleet_sriov._engine import apply
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


def override(pf: Pf, number: int) -> str:
    return pf.files.read(f"{DEVICES}/{pf.vf(number)}/driver_override").replace("(null)", "")


def is_unbound(pf: Pf, spec: dict[str, Any], wanted: str) -> None:
    """Two VFs without a driver by ``spec``, as check mode predicts.

    Nothing is left to do then, and no driver takes them when drivers are probed.
    """
    asked, done = declare(pf, spec, check=True), declare(pf, spec)
    require(asked["steps"] == done["steps"], f"predicted {asked['steps']}, done {done['steps']}")
    again = declare(pf, spec)
    require(not again["changed"], f"the second run of {spec} did {again['steps']}")
    for number in (0, 1):
        pf.files.write("/sys/bus/pci/drivers_probe", pf.vf(number))
        require(driver(pf, number) is None, f"VF {number} has driver {driver(pf, number)}")
        require(override(pf, number) == wanted, f"VF {number} has driver_override {override(pf, number)}")


@case(interfaces=ENGINE)
def case_document_unbound_while_drivers_are_probed(pf: Pf) -> None:
    """No driver from the start, and of VFs that have one."""
    spec: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all", "drivers_autoprobe": True}
    unbound = {**spec, "vfs": [{"ids": "all", "driver": "unbound"}]}
    is_unbound(pf, unbound, "none")
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    declare(pf, spec)
    chosen = driver(pf, 0)
    is_unbound(pf, unbound, "none")
    settle(pf, {"ids": "all", "driver": "default"})
    require(driver(pf, 0) == chosen, f"VF 0 has driver {driver(pf, 0)}, not {chosen}")


@case(interfaces=ENGINE)
def case_document_unbound_while_drivers_are_not_probed(pf: Pf) -> None:
    """No driver and no override: VM managers may bind the VFs."""
    needs_vfio(pf)
    spec: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all", "drivers_autoprobe": False}
    unbound = {**spec, "vfs": [{"ids": "all", "driver": "unbound"}]}
    is_unbound(pf, unbound, "")
    settle(pf, {"ids": "all", "driver": VFIO})
    require(driver(pf, 1) == VFIO, f"VF 1 has driver {driver(pf, 1)}")
    is_unbound(pf, unbound, "")


@case(interfaces=ENGINE)
def case_document_unbound_stays_when_all_vfs_are_disabled(pf: Pf) -> None:
    """VFs that come back without their driver, though it is not declared."""
    spec: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all", "drivers_autoprobe": True}
    declare(pf, {**spec, "vfs": [{"ids": "1", "driver": "unbound"}]})
    declare(pf, {"hardware_vfs": 3, "present_vfs": "all"}, allow=True)
    require(driver(pf, 1) is None, f"VF 1 has driver {driver(pf, 1)}")
    require(override(pf, 1) == "none", f"VF 1 has driver_override {override(pf, 1)}")


@case(interfaces=ENGINE)
def case_document_names_of_interfaces(pf: Pf) -> None:
    """Names of VFs' interfaces: one, and others with ids at their ends.

    They are given again when the driver is bound anew; a name that is taken is refused, and undone.
    """
    interface_of(pf, 0)
    vfs = [{"ids": 0, "name": "kvmfleet-a"}, {"ids": 1, "name": "kvmfleet-+id"}]
    settle(pf, *vfs)
    for _again in range(2):
        names = [pf.files.names(f"{DEVICES}/{pf.vf(number)}/net") for number in (0, 1)]
        require(names == [["kvmfleet-a"], ["kvmfleet-1"]], f"the names are {names}")
        declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
        interface_of(pf, 0)
        settle(pf, *vfs)
    spec = {"vfs": [{"ids": 0, "mtu": 1400, "name": "kvmfleet-1"}]}
    fails(apply.ApplyError, "the PF is back in its previous state", partial(declare, pf, spec))
    names = [pf.files.names(f"{DEVICES}/{pf.vf(number)}/net") for number in (0, 1)]
    require(names == [["kvmfleet-a"], ["kvmfleet-1"]], f"the names are {names}")
    twice = {"vfs": [{"ids": 0, "name": "kvmfleet-1"}, {"ids": 1, "name": "kvmfleet-+id"}]}
    fails(
        errors.BadInputError, f"name kvmfleet-1 would be that of VF 0 of PF {pf.address}", partial(declare, pf, twice)
    )


@case(interfaces=ENGINE)
def case_document_link_of_the_pf(pf: Pf) -> None:
    """The PF's interface up and down again, as its flags have it."""
    path = f"{pf.path}/net/{netdev_of(pf)}/flags"
    before = "up" if int(pf.files.read(path), 16) & 1 else "down"

    def put_back() -> None:
        declare(pf, {"link": before})

    pf.undo.append(put_back)
    for link in ("up", "down", "up"):
        settle(pf, link=link, hardware_vfs=0)
        require(bool(int(pf.files.read(path), 16) & 1) == (link == "up"), f"the flags are {pf.files.read(path)}")
