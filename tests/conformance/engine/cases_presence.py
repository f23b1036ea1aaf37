# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the requests of `sriov_vf`: single VFs, others undisturbed.

A VF that is missing on a stock kernel is left out: there, whatever takes a single VF away (the file ``remove`` of its
PCI device) leaves its virtfn link behind, and the PF is not clean any more (drivers/pci/iov.c, pci_iov_remove_virtfn).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from cases_engine import ENGINE, VFIO, declare, driver, fails, mark, needs_vfio, tools, vfinfo
from harness import Pf, SkippedError, case, require
from kvmfleet_sriov._document import vf_request
from kvmfleet_sriov._engine import converge
from kvmfleet_sriov._model import errors

MARK = "kvmfleet-mark"


def change(pf: Pf, ids: object, state: str = "present", **more: object) -> dict[str, Any]:
    """Apply a request of `sriov_vf` and return the report.

    ``more`` are ``check``, ``allow`` and properties of the VFs.
    """
    check, allow = bool(more.pop("check", False)), bool(more.pop("allow", False))
    document = vf_request.validate({"pf": pf.address, "ids": ids, "state": state, **more})
    return dict(converge.converge(pf.files, tools(pf), document, check=check, allow_disruptive=allow).to_dict())


def start(pf: Pf, desired: set[int]) -> set[int]:
    """Enable all VFs and add these; return those present.

    The interface may only reach the nearest ids.
    """
    declare(pf, {"hardware_vfs": "max", "present_vfs": sorted(desired)})
    return pf.links()


def noted(report: dict[str, Any], words: str) -> bool:
    return any(words in note for note in report["notes"])


@case(interfaces=ENGINE, vfs=3)
def case_vf_is_added_beside_others(pf: Pf) -> None:
    """A VF added, and the others undisturbed, driver_override and all.

    Once more, there is nothing to do.
    """
    before = start(pf, {1})
    path = mark(pf, 1)
    report = change(pf, 2)
    pf.is_state(pf.total, before | {2})
    require(report["changed"] == (2 not in before), f"present were {before}, the steps are {report['steps']}")
    require(pf.files.read(path) == MARK, "VF 1 went away in between")
    again = change(pf, 2)
    require(not again["changed"], f"the second run did {again['steps']}")


@case(interfaces=ENGINE, vfs=3)
def case_vf_is_removed_beside_others(pf: Pf) -> None:
    """A VF removed where the interface can.

    Where it cannot, nothing changes, and a note says so.
    """
    before = start(pf, set(range(pf.total)))
    path = mark(pf, 1)
    report = change(pf, 2, "absent")
    can = pf.interface == "vf-id"
    pf.is_state(pf.total, before - {2} if can else before)
    require(report["changed"] == can, f"the steps are {report['steps']}")
    require(noted(report, "cannot leave VFs 2 out") != can, f"notes are {report['notes']}")
    require(pf.files.read(path) == MARK, "VF 1 went away in between")
    again = change(pf, 2, "absent")
    require(not again["changed"], f"the second run did {again['steps']}")


@case(interfaces=("vf-id-narrow",), vfs=3)
def case_vf_is_removed_by_way_of_zero(pf: Pf) -> None:
    """A VF removed by disabling all VFs first, when allowed.

    VF 0 stays, and notes name the disrupted VFs.
    """
    start(pf, {0, 1, 2})
    path = mark(pf, 1)
    report = change(pf, "0,2", "absent", allow=True)
    pf.is_state(pf.total, (0, 1))
    require(noted(report, "cannot leave VFs 0 out"), f"notes are {report['notes']}")
    require(noted(report, "takes the present VFs 0-1 away; VFs 0-1 come back"), f"notes are {report['notes']}")
    require(pf.files.read(path) != MARK, "VF 1 did not go away in between")
    require(not change(pf, "0,2", "absent", allow=True)["changed"], "the second run did it again")


@case(interfaces=ENGINE)
def case_vf_change_predicts(pf: Pf) -> None:
    """Check mode: no writes, and the steps of the real run.

    Notes and differences are those of the run, too.
    """
    before = start(pf, {1})
    for ids, state in ((0, "present"), (1, "absent"), ("0-1", "absent")):
        asked = change(pf, ids, state, check=True)
        pf.is_state(pf.total, before)
        done = change(pf, ids, state)
        differ = [key for key in asked if asked[key] != done[key]]
        require(not differ, f"{ids} {state}: {differ} were predicted otherwise")
        before = pf.links()


@case(interfaces=ENGINE)
def case_vf_must_be_enabled(pf: Pf) -> None:
    """An id that is not enabled: an error, or absent already.

    It cannot be present; nothing is written.
    """
    declare(pf, {"hardware_vfs": 1, "present_vfs": "all"})
    fails(errors.BadInputError, "ids: 1 is out of range", partial(change, pf, "0-1"))
    report = change(pf, 1, "absent")
    require(not report["changed"], f"the steps are {report['steps']}")
    pf.is_state(1, (0,))
    fails(errors.BadInputError, "out of range", partial(change, pf, pf.total, "absent"))


@case(interfaces=ENGINE)
def case_vf_gets_its_driver(pf: Pf) -> None:
    """The named VF bound by override, the one beside it unbound."""
    needs_vfio(pf)
    start(pf, {0})
    change(pf, 1, driver=VFIO)
    require(driver(pf, 1) == VFIO, f"VF 1 has driver {driver(pf, 1)}")
    require(driver(pf, 0) is None, f"VF 0 has driver {driver(pf, 0)}")
    change(pf, 1, "absent")
    pf.is_state(pf.total, {0} if pf.interface == "vf-id" else {0, 1} if pf.interface != "stock" else range(pf.total))


@case(interfaces=ENGINE)
def case_vf_gets_its_properties(pf: Pf) -> None:
    """MAC and VLAN of the named VF, read from `ip`.

    The VF beside it keeps what it had.
    """
    names = pf.files.names(f"{pf.path}/net")
    if not names:
        raise SkippedError("needs a PF with a network interface")
    start(pf, {0})
    change(pf, 0, mac="02:00:00:00:00:10", vlan=10)
    change(pf, 1, mac="02:00:00:00:00:11", vlan=11)
    found = vfinfo(pf, names[0])
    for vf_id in (0, 1):
        mac, vlans = found[vf_id]["address"], found[vf_id]["vlan_list"]
        require(mac == f"02:00:00:00:00:1{vf_id}", f"the MAC address of VF {vf_id} is {mac}")
        require(vlans[0].get("vlan") == 10 + vf_id, f"the VLAN of VF {vf_id} is {vlans}")
