# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying plans: order, undo, errors and reports.

Generated hosts and specifications are in test_properties_of_plans.py.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import converge, undo
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.apply import ApplyError, apply_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.plan import HostPlan, plan_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

IGB, NVME = "0000:03:00.0", "0000:04:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.igb(IGB)
    host.nvme(NVME)
    return host


def plan(host: FakeHost, *pfs: dict[str, Any]) -> HostPlan:
    return plan_host(read_pfs(host.sysfs), validate({"pfs": list(pfs)}))


def test_outcome_has_times_and_a_fresh_state(host: FakeHost) -> None:
    one = plan(host, {"pf": IGB, "hardware_vfs": 7, "present_vfs": "6"})
    outcome = apply_host(host.sysfs, one, run=host.run)
    assert outcome.pfs[IGB].state.present == {6}
    assert [(row["step"], row["seconds"] >= 0) for row in outcome.to_dict()["times"]] == [
        ("enable", True),
        ("add", True),
    ]
    assert outcome.changed


def test_an_unchanged_pf_is_not_read_again(host: FakeHost) -> None:
    one = plan(host, {"pf": IGB, "hardware_vfs": 0})
    host.sysfs.reads.clear()
    assert not apply_host(host.sysfs, one, run=host.run).changed
    assert host.sysfs.reads == {}


def test_pfs_are_done_side_by_side(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes to two PFs that wait for each other.

    One after the other, they would never end.
    """
    meet, write = threading.Barrier(2, timeout=20), host.sysfs.write

    def met(path: str, value: str) -> None:
        meet.wait()
        write(path, value)

    monkeypatch.setattr(host.sysfs, "write", met)
    one = plan(host, {"pf": IGB, "hardware_vfs": 1}, {"pf": NVME, "hardware_vfs": 1})
    apply_host(host.sysfs, one, run=host.run)
    assert {pf.enabled for pf in host.pfs.values()} == {1}


def test_failure_names_step_file_errno_and_says_it_was_undone(host: FakeHost) -> None:
    before = host.picture()
    one = plan(host, {"pf": IGB, "hardware_vfs": 7, "present_vfs": "6", "drivers_autoprobe": False})
    host.faults = {3: errno.ENOMEM}
    with pytest.raises(ApplyError) as caught:
        apply_host(host.sysfs, one, run=host.run)
    assert str(caught.value) == (
        "PF 0000:03:00.0: at step 'add' of VF 6: cannot write '6' to "
        "/sys/bus/pci/devices/0000:03:00.0/sriov_scan_vf_id: ENOMEM (Cannot allocate memory) (there are no "
        "addresses or bus numbers for that many VFs: enable SR-IOV and 'above 4G decoding' in the firmware, or boot "
        "with pci=realloc); the PF is back in its previous state"
    )
    assert host.picture() == before


# state of the PF before (enabled, present, driver), spec, numbers of writes and programs
FAILURES: list[tuple[tuple[int, list[int], str | None], dict[str, Any], int]] = [
    ((0, [], None), {"hardware_vfs": 7, "present_vfs": "1,6", "vfs": [{"ids": 6, "vlan": 5, "driver": "vfio-pci"}]}, 8),
    ((7, [0, 1, 2], "vfio-pci"), {"present_vfs": "1,5", "vfs": [{"ids": 5, "driver": "igbvf"}]}, 8),
    ((7, [0, 1], None), {"present_vfs": "none", "drivers_autoprobe": False}, 2),
    ((7, [0, 1], None), {"vfs": [{"ids": "all", "driver": "vfio-pci"}]}, 4),
    (
        (7, [1], "igbvf"),
        {"vfs": [{"ids": 1, "driver": "vfio-pci"}, {"ids": "all", "trust": True, "max_tx_rate": 9}]},
        12,  # the driver needs the interface up for rates
    ),
    ((4, [1, 3], "vfio-pci"), {"hardware_vfs": 7, "vfs": [{"ids": 3, "driver": "default"}]}, 12),
    ((7, [0, 1], None), {"present_vfs": "1,5", "vfs": [{"ids": 1, "driver": "vfio-pci"}]}, 4),
]


@pytest.mark.parametrize(("start", "spec", "actions"), FAILURES)
def test_failure_of_each_action_takes_all_back(
    host: FakeHost, start: tuple[int, list[int], str | None], spec: dict[str, Any], actions: int
) -> None:
    """The undo of each failure, with autoprobe on.

    VFs that are added again could get another driver than before.
    """
    document = validate({"pfs": [{"pf": IGB, **spec}]})
    host.drivers.add("vfio-pci")
    for number in range(1, actions + 2):
        host.kernel._disable(host.pfs[IGB])
        host.setup(host.pfs[IGB], *start)
        host.pfs[IGB].properties.get(3, {}).update(mac="02:00:00:00:00:03", vlan=7)
        before = host.picture()
        host.actions, host.faults = 0, {number: errno.EIO}
        if number > actions:
            converge.converge(host.sysfs, host.run, document, allow_disruptive=True)
            assert host.actions == actions
        else:
            with pytest.raises(ApplyError, match="back in its previous state"):
                converge.converge(host.sysfs, host.run, document, allow_disruptive=True)
            assert host.picture() == before


def test_a_vf_bound_again_has_the_override_that_it_had(host: FakeHost) -> None:
    """Override none, where the kernel chose the driver.

    With an override no other driver could bind from then on.
    """
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 1], "igbvf")
    pf.vfs[0].override = None
    host.draw()
    before = host.picture()
    host.faults = {3: errno.EIO}
    with pytest.raises(ApplyError, match="back in its previous state"):
        apply_host(host.sysfs, plan(host, {"pf": IGB, "present_vfs": "none"}), run=host.run)
    assert host.picture() == before


def test_properties_that_nobody_reports_are_a_failure(host: FakeHost) -> None:
    """Refuse to hand out a VF with properties that are not reported."""

    def silent(argv: Sequence[str]) -> str:
        links = json.loads(host.run(argv) or "[]")
        for link in links:
            link["vfinfo_list"] = [vf for vf in link.get("vfinfo_list", []) if vf["vf"] != 1]
        return json.dumps(links)

    spec = {"pf": IGB, "hardware_vfs": 2, "present_vfs": "1", "vfs": [{"ids": 1, "vlan": 5}]}
    with pytest.raises(ApplyError, match=r"VF 1 of eth0: wanted vlan 5, the driver reports unset"):
        converge.converge(host.sysfs, silent, validate({"pfs": [spec]}))
    assert not [path for path, _value in host.sysfs.writes if path.endswith("sriov_scan_vf_id")]


def test_a_failing_undo_is_reported_and_the_others_are_tried(host: FakeHost) -> None:
    """A failure at removal, and at the first write of the undo.

    Unbinding 0 and 1 went well before.
    """
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 1], "vfio-pci")
    host.faults = {3: errno.EBUSY, 5: errno.EIO}
    with pytest.raises(ApplyError, match=r"undoing it failed too: cannot write .*EIO.*; driver of VF 1 was vfio-pci"):
        apply_host(host.sysfs, plan(host, {"pf": IGB, "present_vfs": "none"}), run=host.run)
    assert {vf_id: vf.driver for vf_id, vf in pf.vfs.items()} == {0: "vfio-pci", 1: None}


def test_previous_state_is_reported_only_after_a_reading(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    one = plan(host, {"pf": IGB, "hardware_vfs": 2, "present_vfs": "1"})
    monkeypatch.setattr(host.kernel, "_disable", lambda pf: None)
    host.faults = {2: errno.EIO}
    with pytest.raises(ApplyError, match="undoing it failed too: hardware_vfs was 0, is 2"):
        apply_host(host.sysfs, one, run=host.run)


def test_values_that_are_not_restored_are_told_in_words(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that differ alone, and no types of Python."""
    pf = host.pfs[IGB]
    host.setup(pf, 2, [0])
    pf.properties[0] = {**pf.properties[0], "vlan": 7, "trust": True, "mac": "02:00:00:00:00:01"}
    host.draw()
    spec = {"pf": IGB, "mtu": 2000, "vfs": [{"ids": 0, "vlan": 9, "trust": False, "mac": "02:00:00:00:00:02"}]}
    monkeypatch.setattr(undo, "_undo", lambda host, current, *_rest: undo._not_restored(host, current))
    host.faults = {host.actions + 2: errno.EIO}
    with pytest.raises(ApplyError) as raised:
        converge.converge(host.sysfs, host.run, validate({"pfs": [spec]}))
    said = str(raised.value).partition("undoing it failed too: ")[2]
    assert "settings was mtu 1500, is mtu 2000" in said
    assert (
        "properties of VF 0 was mac 02:00:00:00:00:01 vlan 7 trust on, is mac 02:00:00:00:00:02 vlan 9 trust off"
        in said
    )
    assert not any(mark in said for mark in ("(", "{", "'", "None", "VfProperties"))


def test_vfs_in_use_are_refused_before_anything(host: FakeHost) -> None:
    pf = host.pfs[IGB]
    host.setup(pf, 7, [0, 6], "vfio-pci")
    one = plan(host, {"pf": IGB, "present_vfs": "0"})
    host.hold(pf, 6)
    with pytest.raises(RefusedError, match=r"VF 6 of PF 0000:03:00.0 by VM web1, process 4711"):
        apply_host(host.sysfs, one, run=host.run)
    assert host.sysfs.writes == []


def test_processes_are_read_only_when_a_vf_would_go(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    names = host.sysfs.names

    def noted(path: str) -> list[str]:
        listed.append(path)
        return names(path)

    monkeypatch.setattr(host.sysfs, "names", noted)
    host.setup(host.pfs[IGB], 7, [0, 1], "igbvf")
    apply_host(host.sysfs, plan(host, {"pf": IGB, "present_vfs": "0-2"}), run=host.run)
    assert "/proc" not in listed


def test_only_named_pfs_are_read_when_addresses_are_given(host: FakeHost) -> None:
    states, _document, _reached = converge.read_host(
        host.sysfs, host.run, validate({"pfs": [{"pf": NVME, "hardware_vfs": 1}]})
    )
    assert list(states) == [NVME]
    assert not [path for path in host.sysfs.reads if IGB in path]


def blocking(tmp_path: Path, interface: str = "vf-id") -> FakeHost:
    """A host whose VF 1 is in use, by a lasting holder."""
    host = FakeHost(tmp_path / interface, interface)
    host.setup(host.igb(IGB), 7, [0, 1, 2] if interface == "vf-id" else range(7), "vfio-pci")
    host.nvme(NVME)
    host.hold(host.pfs[IGB], 1)
    return host


# spec, at which step it blocks, which file; VFs that are there then
BLOCKED: list[tuple[str, dict[str, Any], str, str, set[int]]] = [
    ("vf-id", {"present_vfs": "2"}, "'unbind' of VF 1", "virtfn1/driver/unbind", {0, 1, 2}),
    ("vf-id", {"hardware_vfs": 0, "present_vfs": "none"}, "'disable' of VF 0-2", "sriov_numvfs_no_scan", {1, 2}),
    ("stock", {"hardware_vfs": 0, "present_vfs": "none"}, "'disable' of VF 0-6", "sriov_numvfs", {1, 2, 3, 4, 5, 6}),
]


@pytest.mark.parametrize(("interface", "spec", "step", "file", "left"), BLOCKED)
def test_what_the_kernel_blocks_is_reported_and_left_alone(
    tmp_path: Path, interface: str, spec: dict[str, Any], step: str, file: str, left: set[int]
) -> None:
    """No undo and no reading of a blocked PF.

    The fake fails any access to the PF. Later the same specification is applied.
    """
    host = blocking(tmp_path, interface)
    document = validate({"pfs": [{"pf": IGB, **spec}]})
    with pytest.raises(ApplyError) as caught:
        converge.converge(host.sysfs, host.run, document, force=True)
    text = str(caught.value)
    assert f"at step {step}: " in text
    assert f"{file} has not come back" in text
    assert "(in use: VF 1 by VM web1, process 4711 (qemu-system-x86)); the PF is left as it is" in text
    assert set(host.pfs[IGB].vfs) == left
    written = len(host.sysfs.writes)
    with pytest.raises(RefusedError, match=r"PF 0000:03:00.0: process \d+ .* has been writing"):
        converge.converge(host.sysfs, host.run, document, force=True)
    assert len(host.sysfs.writes) == written
    host.end_holders(host.pfs[IGB])
    converge.converge(host.sysfs, host.run, document)
    assert set(host.pfs[IGB].vfs) == ({2} if "unbind" in file else set())
    assert not converge.converge(host.sysfs, host.run, document).plan.changed


def test_other_pfs_go_on_beside_a_blocked_one(tmp_path: Path) -> None:
    host = blocking(tmp_path)
    specs = [{"pf": IGB, "present_vfs": "2"}, {"pf": NVME, "hardware_vfs": 4, "present_vfs": "3"}]
    with pytest.raises(ApplyError, match=f"changed as planned: {NVME}") as caught:
        converge.converge(host.sysfs, host.run, validate({"pfs": specs}), force=True)
    assert list(caught.value.failures) == [IGB]
    assert set(host.pfs[NVME].vfs) == {3}


def test_on_a_stock_kernel_a_blocked_pf_blocks_the_others(tmp_path: Path) -> None:
    """Failures of all PFs, each reported.

    The fake fails a plain write, which would keep this program for ever.
    """
    host = blocking(tmp_path, "stock")
    meet = threading.Event()
    write = host.sysfs.write_within

    def ordered(path: str, value: str, owner: str, seconds: float) -> None:
        if owner == NVME:
            meet.wait(20)
        try:
            write(path, value, owner, seconds)
        finally:
            meet.set()

    host.sysfs.write_within = ordered  # type: ignore[method-assign]  # the first PF comes first
    specs = [{"pf": IGB, "hardware_vfs": 0, "present_vfs": "none"}, {"pf": NVME, "hardware_vfs": 4}]
    with pytest.raises(ApplyError) as caught:
        converge.converge(host.sysfs, host.run, validate({"pfs": specs}), force=True)
    assert sorted(caught.value.failures) == [IGB, NVME]
    host.end_holders(host.pfs[IGB])
    assert (host.pfs[IGB].enabled, host.pfs[NVME].enabled) == (0, 4)


def test_on_a_stock_kernel_growing_has_deadlines_too(tmp_path: Path) -> None:
    """Deadlines of writes that wait for an undo on another PF.

    One PF's new VFs are in use before its failure takes them back; the others' writes queue behind that.
    """
    host = FakeHost(tmp_path, "stock", ("igb", "igbvf", "nvme", "vfio-pci"))
    host.igb(IGB)
    host.nvme(NVME)
    blocked = threading.Event()

    def ordered(write: Callable[..., None]) -> Callable[..., None]:
        def act(path: str, value: str, *deadline: float) -> None:
            if NVME in path:
                assert blocked.wait(20)
            try:
                write(path, value, *deadline)
            finally:
                if path.endswith(f"{IGB}/sriov_numvfs") and value == "0":
                    blocked.set()

        return act

    for name in ("write", "write_within"):
        setattr(host.sysfs, name, ordered(getattr(host.sysfs, name)))

    def refused(argv: Sequence[str]) -> str:
        if "vlan" in argv:
            host.hold(host.pfs[IGB], 1)
            raise ToolError(list(argv), 2, "RTNETLINK answers: Operation not permitted")
        return host.run(argv)

    specs = [{"pf": IGB, "hardware_vfs": 4, "vfs": [{"ids": 1, "vlan": 5}]}, {"pf": NVME, "hardware_vfs": 4}]
    with pytest.raises(ApplyError) as caught:
        converge.converge(host.sysfs, refused, validate({"pfs": specs}))
    assert sorted(caught.value.failures) == [IGB, NVME]
    assert "the PF is left as it is" in str(caught.value.failures[NVME])
    host.end_holders(host.pfs[IGB])
    assert (host.pfs[IGB].enabled, host.pfs[NVME].enabled) == (0, 4)


def test_a_run_after_a_blocked_one_has_deadlines(tmp_path: Path) -> None:
    """Deadlines on any kernel, beside a blocked writer.

    Nobody can know which locks it has.
    """
    host = blocking(tmp_path)
    with pytest.raises(ApplyError):
        converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, "present_vfs": "2"}]}), force=True)
    host.sysfs.within.clear()
    converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": NVME, "hardware_vfs": 4, "present_vfs": "1"}]}))
    files = [path.rsplit("/", 1)[1] for path, _seconds in host.sysfs.within]
    assert files == ["sriov_numvfs_no_scan", "sriov_scan_vf_id"]


def test_on_a_stock_kernel_a_run_after_a_blocked_one_blocks_too(tmp_path: Path) -> None:
    host = blocking(tmp_path, "stock")
    document = validate({"pfs": [{"pf": IGB, "hardware_vfs": 0}]})
    with pytest.raises(ApplyError):
        converge.converge(host.sysfs, host.run, document, force=True, allow_disruptive=True)
    with pytest.raises(ApplyError, match=f"PF {NVME}: at step 'enable': '4' written to .* has not come back"):
        converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": NVME, "hardware_vfs": 4}]}))


def test_an_undo_that_blocks_ends_the_undoing(host: FakeHost) -> None:
    """An undo of a VF that somebody has opened.

    That happens before its properties can be read back.
    """
    pf = host.pfs[IGB]
    host.drivers.add("vfio-pci")
    spec = {"pf": IGB, "hardware_vfs": 2, "present_vfs": "1", "vfs": [{"ids": 1, "driver": "vfio-pci"}]}
    one = plan(host, spec, {"pf": NVME, "hardware_vfs": 1})
    probe = host.kernel.probe

    def grabbed(pf: FakePf, vf_id: int) -> None:
        probe(pf, vf_id)
        if pf.vfs[vf_id].driver == "vfio-pci":
            pf.vfs[vf_id].driver, pf.vfs[vf_id].in_use = "other", True

    host.kernel.probe = grabbed  # type: ignore[method-assign]  # what a holder of the VF does, as soon as it can
    host.drivers.add("other")
    with pytest.raises(
        ApplyError,
        match=r"driver of VF 1: wanted vfio-pci, found other \(eth0 is down, .*\); undoing it failed too: "
        r"'0000:04:10.2' written to .*virtfn1/driver/unbind has not come back.*the PF is left as it is",
    ):
        apply_host(host.sysfs, one, run=host.run)
    assert (pf.enabled, set(pf.vfs), host.pfs[NVME].enabled) == (2, {1}, 1)


def test_only_what_may_wait_has_a_process_of_its_own(host: FakeHost) -> None:
    """Writes with a process of their own: removals, and those beside.

    The sequence of a live update (enable, add, bind) has none.
    """
    host.drivers.add("vfio-pci")
    spec = {"pf": IGB, "hardware_vfs": 7, "present_vfs": "0-5", "vfs": [{"ids": "all", "driver": "vfio-pci"}]}
    converge.converge(host.sysfs, host.run, validate({"pfs": [{**spec, "drivers_autoprobe": False}]}))
    assert host.sysfs.within == []
    converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, "present_vfs": "1-6"}]}))
    folder = f"/sys/bus/pci/devices/{IGB}"
    assert host.sysfs.within == [
        (f"{folder}/virtfn0/driver/unbind", 62.0),
        (f"{folder}/sriov_remove_vf_id", 62.0),
        (f"{folder}/sriov_scan_vf_id", 62.0),
    ]
    host.sysfs.within.clear()
    converge.converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, "hardware_vfs": 0, "present_vfs": "none"}]}))
    assert host.sysfs.within == [(f"{folder}/sriov_numvfs_no_scan", 74.0)]
