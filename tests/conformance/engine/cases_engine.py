# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the engine: the effect of a declaration on a PF.

The kernel's own files and `ip` are the judges.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from harness import DEVICES, FULL, FailedError, Pf, SkippedError, case, require
from kvmfleet_sriov._document import document as _document
from kvmfleet_sriov._engine import converge
from kvmfleet_sriov._model import errors
from kvmfleet_sriov._model.state import vf_address
from kvmfleet_sriov._readers import pfs
from kvmfleet_sriov._system import process

ENGINE = ("vf-id", "vf-id-narrow", "stock")
VFIO = "vfio-pci"


def tools(pf: Pf) -> Callable[..., str]:
    """The programs of this machine, or of the fake host.

    ``pf`` has the files of either.
    """
    fake: Any = getattr(pf.files, "host", None)
    run: Callable[..., str] = fake.run if fake else process.run
    return run


def declare(pf: Pf, spec: dict[str, Any], *, allow: bool = False, check: bool = False) -> dict[str, Any]:
    """Converge one PF and return the report as modules give it."""
    document = _document.validate({"pfs": [{"pf": pf.address, **spec}]})
    return dict(converge.converge(pf.files, tools(pf), document, allow_disruptive=allow, check=check).to_dict())


def fails(kind: type[Exception], words: str, call: Callable[[], object]) -> None:
    """Fail unless ``call`` raises ``kind`` with ``words`` in its text."""
    try:
        call()
    except kind as error:
        require(words in str(error), f"the error says '{error}', not '{words}'")
    else:
        raise FailedError(f"no {kind.__name__}")


def nearest(pf: Pf, desired: set[int], enabled: int) -> set[int]:
    """The nearest ids that the interface can have present from none.

    SR-IOV is off before.
    """
    return {"vf-id": desired, "vf-id-narrow": desired | {0}, "stock": set(range(enabled))}[pf.interface]


def mark(pf: Pf, number: int) -> str:
    """Set a driver_override, which a VF loses when removed.

    It loses it even when that is only for a moment.
    """
    path = f"{DEVICES}/{pf.vf(number)}/driver_override"
    pf.files.write(path, "kvmfleet-mark")
    return path


def needs_vfio(pf: Pf) -> None:
    """The module loads, and VFs have IOMMU groups."""
    try:
        tools(pf)(["modprobe", VFIO])
    except errors.SriovError as error:
        raise SkippedError(f"needs {VFIO}: {error}") from error
    pf.ok("sriov_numvfs", 1)
    grouped = pf.files.link(f"{DEVICES}/{pf.vf(0)}/iommu_group")
    pf.ok("sriov_numvfs", 0)
    if grouped is None:
        raise SkippedError("needs an IOMMU")


def driver(pf: Pf, number: int) -> str | None:
    return pf.files.link(f"{DEVICES}/{pf.vf(number)}/driver")


@case(interfaces=ENGINE)
def case_engine_tells_the_interface(pf: Pf) -> None:
    """The same interface by the engine and by the harness."""
    found = pfs.read_pfs(pf.files, [pf.address], vfs=False)[pf.address].interface
    require(found == pf.interface, f"the engine says {found}, the files {pf.interface}")


@case(interfaces=ENGINE)
def case_engine_computes_addresses(pf: Pf) -> None:
    """Addresses of absent VFs: those at which they appear."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "none"})
    state = pfs.read_pfs(pf.files, [pf.address])[pf.address]
    before = {number: vf_address(state, number) for number in range(pf.total)}
    declare(pf, {"present_vfs": "all"})
    after = {number: pf.files.link(f"{pf.path}/virtfn{number}") for number in range(pf.total)}
    require(before == after, f"computed {before}, appeared at {after}")


@case()
def case_engine_enables_without_adding(pf: Pf) -> None:
    """All enabled, none present."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "none"})
    pf.is_state(pf.total, ())


@case(interfaces=ENGINE, vfs=3)
def case_engine_makes_the_wished_ids_present(pf: Pf) -> None:
    """Exactly the declared ids present, or the nearest, with a note.

    They are the first and the last.
    """
    desired = {1, pf.total - 1}
    report = declare(pf, {"hardware_vfs": "max", "present_vfs": sorted(desired)})
    found = nearest(pf, desired, pf.total)
    pf.is_state(pf.total, found)
    said = any("cannot leave VFs" in note for note in report["notes"])
    require(said == (found != desired), f"notes are {report['notes']}")


@case(vfs=3)
def case_engine_grows_without_disturbing(pf: Pf) -> None:
    """More ids: present VFs stay, driver_override and all."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "1"})
    path = mark(pf, 1)
    declare(pf, {"present_vfs": "0-2"})
    pf.is_state(pf.total, (0, 1, 2))
    require(pf.files.read(path) == "kvmfleet-mark", "VF 1 went away in between")


@case(vfs=3)
def case_engine_shrinks_without_disturbing(pf: Pf) -> None:
    """Fewer ids: the others go, and these are not touched.

    The number enabled stays.
    """
    declare(pf, {"hardware_vfs": "max", "present_vfs": "all"})
    path = mark(pf, 1)
    declare(pf, {"present_vfs": "1"})
    pf.is_state(pf.total, (1,))
    require(pf.files.read(path) == "kvmfleet-mark", "VF 1 went away in between")


@case(interfaces=ENGINE)
def case_engine_finds_nothing_to_do_again(pf: Pf) -> None:
    """The same declaration again has no steps."""
    spec = {"hardware_vfs": "max", "present_vfs": "1", "drivers_autoprobe": False}
    require(declare(pf, spec)["changed"], "the first run changed nothing")
    again = declare(pf, spec)
    require(not again["changed"], f"the second run did {again['steps']}")


@case(interfaces=ENGINE, vfs=3)
def case_engine_check_predicts(pf: Pf) -> None:
    """Check mode: no writes, and the steps of the real run.

    Notes and differences are those of the run, too.
    """
    for spec in (
        {"hardware_vfs": 3, "present_vfs": "0,2"},
        {"present_vfs": "1"},
        {"hardware_vfs": 0, "present_vfs": "none"},
    ):
        enabled, present = int(pf.read("sriov_numvfs")), pf.links()
        asked = declare(pf, spec, check=True)
        pf.is_state(enabled, present)
        done = declare(pf, spec)
        differ = [key for key in asked if asked[key] != done[key]]
        require(not differ, f"{spec}: {differ} were predicted otherwise")


@case(interfaces=ENGINE)
def case_engine_refuses_another_number(pf: Pf) -> None:
    """Another number while VFs are present: refused without writes.

    When it is allowed, it is reached and they come back.
    """
    declare(pf, {"hardware_vfs": 1, "present_vfs": "all"})
    spec: dict[str, Any] = {"hardware_vfs": 2}
    for check in (True, False):
        fails(errors.RefusedError, "requires disabling all VFs first", partial(declare, pf, spec, check=check))
        pf.is_state(1, (0,))
    declare(pf, spec, allow=True)
    pf.is_state(2, {0, 1})


@case(interfaces=ENGINE)
def case_engine_changes_the_number_of_absent_vfs(pf: Pf) -> None:
    """Another number without leave, when no VF stays.

    None is present, or they are declared away.
    """
    declare(pf, {"hardware_vfs": 1, "present_vfs": "all"})
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    pf.is_state(0, ())
    if pf.interface == "vf-id":
        declare(pf, {"hardware_vfs": 1, "present_vfs": "none"})
        declare(pf, {"hardware_vfs": 2, "present_vfs": "unmanaged"})
        pf.is_state(2, ())


@case(interfaces=ENGINE)
def case_engine_a_number_alone_is_that_of_present_vfs(pf: Pf) -> None:
    """The same document, the same VFs, on each interface."""
    declare(pf, {"hardware_vfs": 2})
    pf.is_state(2, (0, 1))
    declare(pf, {"hardware_vfs": 1, "allow_disruptive": True})
    pf.is_state(1, (0,))


@case(interfaces=ENGINE)
def case_engine_bad_input_writes_nothing(pf: Pf) -> None:
    """Bad input named, and nothing written.

    Too many VFs, ids that are not enabled, an unknown PF, an unknown key.
    """
    bad: list[tuple[str, dict[str, Any]]] = [
        (f"hardware_vfs {pf.total + 1} is out of range", {"hardware_vfs": pf.total + 1}),
        ("present_vfs: 1 is out of range", {"hardware_vfs": 1, "present_vfs": "0-1"}),
        ("'0000:ff:1f.7' is not on this host", {"pf": "0000:ff:1f.7", "hardware_vfs": 1}),
        ("did you mean 'present_vfs'", {"hardware_vfs": 1, "present_vf": "all"}),
    ]
    for words, spec in bad:
        fails(errors.BadInputError, words, partial(declare, pf, spec))
        pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_engine_takes_a_failure_back(pf: Pf) -> None:
    """The undo of a failure at the last steps.

    A driver that takes no VF fails them (drivers/pci/pcie/portdrv.c, pcie_portdrv_probe: ENODEV); the PF is in its
    previous state. One that does not exist is found out before the first step.
    """
    for driver_name, words in (("pcieport", "the driver does not take the VF"), ("kvmfleet-none", "kvmfleet-none")):
        vfs = [{"ids": 0, "driver": driver_name}]
        spec: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all", "vfs": vfs}
        fails(errors.SriovError, words, partial(declare, pf, spec))
        pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_engine_binds_by_override(pf: Pf) -> None:
    """A VF bound to vfio-pci although autoprobe is off.

    With autoprobe on no other driver is bound before.
    """
    needs_vfio(pf)
    for autoprobe in (False, True):
        vfs = [{"ids": "all", "driver": VFIO}]
        declare(pf, {"hardware_vfs": 2, "present_vfs": "1", "drivers_autoprobe": autoprobe, "vfs": vfs})
        require(driver(pf, 1) == VFIO, f"VF 1 has driver {driver(pf, 1)}, autoprobe {autoprobe}")
        require(pf.read("sriov_drivers_autoprobe") == str(int(autoprobe)), "autoprobe is not as declared")
        declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})


@case(interfaces=ENGINE)
def case_engine_lets_a_driver_go(pf: Pf) -> None:
    """An override cleared by `default`; with autoprobe off, no driver."""
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 1, "driver": VFIO}]})
    declare(pf, {"vfs": [{"ids": 1, "driver": "default"}]})
    require(driver(pf, 1) is None, f"VF 1 has driver {driver(pf, 1)}")
    override = pf.files.read(f"{DEVICES}/{pf.vf(1)}/driver_override")
    require(override == "(null)", f"driver_override is {override}")


@case()
def case_engine_removes_a_bound_vf(pf: Pf) -> None:
    """A bound VF, in use by nobody, unbound and removed."""
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": "all", "driver": VFIO}]})
    declare(pf, {"present_vfs": "0"})
    pf.is_state(2, (0,))
    require(driver(pf, 0) == VFIO, "VF 0 lost its driver")


@case(interfaces=FULL, real_only=True)
def case_engine_refuses_a_held_vf(pf: Pf) -> None:
    """A refused removal of a VF in use.

    This process has its VFIO group open. The refusal names the process; other VFs may go.
    """
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": "all", "driver": VFIO}]})
    group = pf.files.link(f"{DEVICES}/{pf.vf(1)}/iommu_group")
    handle = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    pf.undo.append(lambda: os.close(handle))
    fails(
        errors.RefusedError,
        f"VF 1 of PF {pf.address} by process {os.getpid()}",
        lambda: declare(pf, {"present_vfs": "0"}),
    )
    pf.is_state(2, (0, 1))
    declare(pf, {"present_vfs": "1"})
    pf.is_state(2, (1,))


@case(interfaces=ENGINE)
def case_engine_sets_properties(pf: Pf) -> None:
    """MAC, VLAN and spoof check of one VF, read from `ip`.

    Only differences are written; other VFs keep theirs.
    """
    names = pf.files.names(f"{pf.path}/net")
    if not names:
        raise SkippedError("needs a PF with a network interface")
    spec = {"ids": 1, "mac": "02:00:00:00:00:11", "vlan": 100, "spoofchk": True}
    declare(pf, {"hardware_vfs": 2, "present_vfs": "1", "vfs": [spec]})
    vf = vfinfo(pf, names[0])[1]
    require(vf["address"] == spec["mac"], f"the MAC address is {vf['address']}")
    require(vf["vlan_list"][0].get("vlan") == 100, f"the VLAN is {vf['vlan_list']}")
    require(vf["spoofchk"] is True, "spoof check is off")
    report = declare(pf, {"vfs": [{**spec, "spoofchk": False}]})
    steps = [step["after"] for step in report["steps"]]
    require(steps == ["spoofchk off", "as wanted"], f"the steps are {report['steps']}")
    require(vfinfo(pf, names[0])[1]["spoofchk"] is False, "spoof check is on")


def vfinfo(pf: Pf, netdev: str) -> dict[int, dict[str, Any]]:
    links = json.loads(tools(pf)(["ip", "-json", "-details", "link", "show", "dev", netdev]))
    return {vf["vf"]: vf for link in links if link for vf in link["vfinfo_list"]}
