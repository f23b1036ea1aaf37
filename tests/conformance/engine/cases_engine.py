# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the engine: what a declaration does to a PF, judged by the kernel's own files and by `ip`."""

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
from kvmfleet_sriov._readers import pfs
from kvmfleet_sriov._system import process

ENGINE = ("vf-id", "vf-id-narrow", "stock")
VFIO = "vfio-pci"


def tools(pf: Pf) -> Callable[..., str]:
    """The programs of this machine, or of the fake host that the files are of."""
    fake: Any = getattr(pf.files, "host", None)
    run: Callable[..., str] = fake.run if fake else process.run
    return run


def declare(pf: Pf, wish: dict[str, Any], *, allow: bool = False, check: bool = False) -> dict[str, Any]:
    """Converge one PF; the report as modules and programs give it."""
    document = _document.validate({"pfs": [{"pf": pf.address, **wish}]})
    return dict(converge.converge(pf.files, tools(pf), document, allow_disruptive=allow, check=check).to_dict())


def fails(kind: type[Exception], words: str, call: Callable[[], object]) -> None:
    """Fail unless ``call`` raises ``kind`` with ``words`` in its text."""
    try:
        call()
    except kind as error:
        require(words in str(error), f"the error says '{error}', not '{words}'")
    else:
        raise FailedError(f"no {kind.__name__}")


def nearest(pf: Pf, wished: set[int], enabled: int) -> set[int]:
    """What the interface can make of it from SR-IOV off."""
    return {"vf-id": wished, "vf-id-narrow": wished | {0}, "stock": set(range(enabled))}[pf.interface]


def mark(pf: Pf, number: int) -> str:
    """Something that a VF loses when it goes away, even for a moment: its driver_override."""
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
    """The engine's detection agrees with the harness's own."""
    found = pfs.read_pfs(pf.files, [pf.address], vfs=False)[pf.address].interface
    require(found == pf.interface, f"the engine says {found}, the files {pf.interface}")


@case(interfaces=ENGINE)
def case_engine_computes_addresses(pf: Pf) -> None:
    """Addresses of absent VFs are those at which they appear."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "none"})
    state = pfs.read_pfs(pf.files, [pf.address])[pf.address]
    before = {number: pfs.vf_address(state, number) for number in range(pf.total)}
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
    """The first and the last: exactly them, or the nearest that the interface can, and then a note says so."""
    wished = {1, pf.total - 1}
    report = declare(pf, {"hardware_vfs": "max", "present_vfs": sorted(wished)})
    found = nearest(pf, wished, pf.total)
    pf.is_state(pf.total, found)
    said = any("cannot leave VFs" in note for note in report["notes"])
    require(said == (found != wished), f"notes are {report['notes']}")


@case(vfs=3)
def case_engine_grows_without_disturbing(pf: Pf) -> None:
    """More ids: those that are there stay, driver_override and all."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "1"})
    path = mark(pf, 1)
    declare(pf, {"present_vfs": "0-2"})
    pf.is_state(pf.total, (0, 1, 2))
    require(pf.files.read(path) == "kvmfleet-mark", "VF 1 went away in between")


@case(vfs=3)
def case_engine_shrinks_without_disturbing(pf: Pf) -> None:
    """Fewer ids: the others go, those that stay are not touched; the number enabled stays."""
    declare(pf, {"hardware_vfs": "max", "present_vfs": "all"})
    path = mark(pf, 1)
    declare(pf, {"present_vfs": "1"})
    pf.is_state(pf.total, (1,))
    require(pf.files.read(path) == "kvmfleet-mark", "VF 1 went away in between")


@case(interfaces=ENGINE)
def case_engine_finds_nothing_to_do_again(pf: Pf) -> None:
    """The same declaration again has no steps."""
    wish = {"hardware_vfs": "max", "present_vfs": "1", "drivers_autoprobe": False}
    require(declare(pf, wish)["changed"], "the first run changed nothing")
    again = declare(pf, wish)
    require(not again["changed"], f"the second run did {again['steps']}")


@case(interfaces=ENGINE, vfs=3)
def case_engine_check_predicts(pf: Pf) -> None:
    """Asked only, it writes nothing and names the steps, notes and differences that doing it has then."""
    for wish in (
        {"hardware_vfs": 3, "present_vfs": "0,2"},
        {"present_vfs": "1"},
        {"hardware_vfs": 0, "present_vfs": "none"},
    ):
        enabled, present = int(pf.read("sriov_numvfs")), pf.links()
        asked = declare(pf, wish, check=True)
        pf.is_state(enabled, present)
        done = declare(pf, wish)
        differ = [key for key in asked if asked[key] != done[key]]
        require(not differ, f"{wish}: {differ} were predicted otherwise")


@case(interfaces=ENGINE)
def case_engine_refuses_another_number(pf: Pf) -> None:
    """Another number while VFs are present is refused and writes nothing; allowed, it is reached and they come back."""
    declare(pf, {"hardware_vfs": 1, "present_vfs": "all"})
    wish: dict[str, Any] = {"hardware_vfs": 2}
    for check in (True, False):
        fails(errors.RefusedError, "requires disabling all VFs first", partial(declare, pf, wish, check=check))
        pf.is_state(1, (0,))
    declare(pf, wish, allow=True)
    pf.is_state(2, {0} if pf.interface != "stock" else {0, 1})


@case(interfaces=ENGINE)
def case_engine_changes_the_number_of_absent_vfs(pf: Pf) -> None:
    """Without present VFs, or when they are declared away, another number needs no leave."""
    declare(pf, {"hardware_vfs": 1, "present_vfs": "all"})
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    pf.is_state(0, ())
    if pf.interface == "vf-id":
        declare(pf, {"hardware_vfs": 1, "present_vfs": "none"})
        declare(pf, {"hardware_vfs": 2})
        pf.is_state(2, ())


@case(interfaces=ENGINE)
def case_engine_bad_input_writes_nothing(pf: Pf) -> None:
    """Too many VFs, ids that are not enabled, an unknown PF, an unknown key: named, and nothing is written."""
    bad: list[tuple[str, dict[str, Any]]] = [
        (f"hardware_vfs {pf.total + 1} is out of range", {"hardware_vfs": pf.total + 1}),
        ("present_vfs: 1 is out of range", {"hardware_vfs": 1, "present_vfs": "0-1"}),
        ("'0000:ff:1f.7' is not on this host", {"pf": "0000:ff:1f.7", "hardware_vfs": 1}),
        ("did you mean 'present_vfs'", {"hardware_vfs": 1, "present_vf": "all"}),
    ]
    for words, wish in bad:
        fails(errors.BadInputError, words, partial(declare, pf, wish))
        pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_engine_takes_a_failure_back(pf: Pf) -> None:
    """A driver that does not exist fails the last steps: the PF is as it was found."""
    wish: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 0, "driver": "kvmfleet-none"}]}
    fails(errors.SriovError, "back in its previous state", lambda: declare(pf, wish))
    pf.is_state(0, ())


@case(interfaces=ENGINE)
def case_engine_binds_by_override(pf: Pf) -> None:
    """vfio-pci takes the VF although autoprobe is off; with autoprobe on no other driver has it before."""
    needs_vfio(pf)
    for autoprobe in (False, True):
        vfs = [{"ids": "all", "driver": VFIO}]
        declare(pf, {"hardware_vfs": 2, "present_vfs": "1", "drivers_autoprobe": autoprobe, "vfs": vfs})
        require(driver(pf, 1) == VFIO, f"VF 1 has driver {driver(pf, 1)}, autoprobe {autoprobe}")
        require(pf.read("sriov_drivers_autoprobe") == str(int(autoprobe)), "autoprobe is not as declared")
        declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})


@case(interfaces=ENGINE)
def case_engine_lets_a_driver_go(pf: Pf) -> None:
    """`default` clears the override; with autoprobe off the VF is free then."""
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 1, "driver": VFIO}]})
    declare(pf, {"vfs": [{"ids": 1, "driver": "default"}]})
    require(driver(pf, 1) is None, f"VF 1 has driver {driver(pf, 1)}")
    override = pf.files.read(f"{DEVICES}/{pf.vf(1)}/driver_override")
    require(override == "(null)", f"driver_override is {override}")


@case()
def case_engine_removes_a_bound_vf(pf: Pf) -> None:
    """A VF that is bound, but in use by nobody, is unbound and removed."""
    needs_vfio(pf)
    declare(pf, {"hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": "all", "driver": VFIO}]})
    declare(pf, {"present_vfs": "0"})
    pf.is_state(2, (0,))
    require(driver(pf, 0) == VFIO, "VF 0 lost its driver")


@case(interfaces=FULL, real_only=True)
def case_engine_refuses_a_held_vf(pf: Pf) -> None:
    """A VF whose VFIO group this process has open stays; the refusal names the process; other VFs may go."""
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
    """MAC, VLAN and spoof check of one VF, read from `ip` here; only differences are written; others keep theirs."""
    names = pf.files.names(f"{pf.path}/net")
    if not names:
        raise SkippedError("needs a PF with a network interface")
    wish = {"ids": 1, "mac": "02:00:00:00:00:11", "vlan": 100, "spoofchk": True}
    declare(pf, {"hardware_vfs": 2, "present_vfs": "1", "vfs": [wish]})
    vf = vfinfo(pf, names[0])[1]
    require(vf["address"] == wish["mac"], f"the MAC address is {vf['address']}")
    require(vf["vlan_list"][0].get("vlan") == 100, f"the VLAN is {vf['vlan_list']}")
    require(vf["spoofchk"] is True, "spoof check is off")
    report = declare(pf, {"vfs": [{**wish, "spoofchk": False}]})
    steps = [step["after"] for step in report["steps"]]
    require(steps == ["spoofchk off", "as wanted"], f"the steps are {report['steps']}")
    require(vfinfo(pf, names[0])[1]["spoofchk"] is False, "spoof check is on")


def vfinfo(pf: Pf, netdev: str) -> dict[int, dict[str, Any]]:
    links = json.loads(tools(pf)(["ip", "-json", "-details", "link", "show", "dev", netdev]))
    return {vf["vf"]: vf for link in links if link for vf in link["vfinfo_list"]}
