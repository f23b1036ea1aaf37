# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that is copied while VMs run, on a played host."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import abort, resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, claim, jump, live, phase, result, updated

NAMES = ("web1", "web2")


@pytest.fixture
def two(node: FakeNode, pf: FakePf) -> FakeNode:
    node.vm("web2", pf, 2)
    return node


def test_no_vm_is_stopped_before_all_are_copied(two: FakeNode) -> None:
    jump(two)
    begun = [number for number, one in enumerate(two.commands) if one[1] == "migrate"]
    stopped = [number for number, one in enumerate(two.commands) if one[1] == "stop"]
    assert (len(begun), len(stopped)) == (2, 2)
    assert max(begun) < min(stopped)
    assert claim(two).form["capabilities"] == ["mapped-ram", "multifd"]
    assert resume.resume(two.live) == "done"
    assert [live(two, name).status for name in NAMES] == ["running", "running"]


def test_who_is_copied_last_sees_no_others(two: FakeNode) -> None:
    """Nor while the rest of them is nearly copied."""
    both, seen = threading.Barrier(2), []

    def waits(vm: ManifestVm, _state: str, others: Callable[[bool], bool]) -> None:
        both.wait(20)
        if vm.name == "web1":
            seen.append(others(True))
        both.wait(20)
        if vm.name == "web2":
            seen.extend([others(False), others(True)])
        both.wait(20)
        if vm.name == "web1":
            seen.append(others(False))
        both.wait(20)

    object.__setattr__(two.qemu, "copy", waits)
    jump(two)
    assert seen == [True, False, False, False] * 2


def test_a_qemu_without_mapped_ram_is_stopped_first(two: FakeNode) -> None:
    two.scripts["web1"].lacks = ("mapped-ram",)
    jump(two)
    mine = [one for name, one in two.commands if name == "web1" and one in ("stop", "migrate")]
    assert mine == ["stop", "migrate"]
    assert (claim(two).form["capabilities"], claim(two, "web2").form["channels"]) == ([], 1)
    assert resume.resume(two.live) == "done"
    assert [live(two, name).status for name in NAMES] == ["running", "running"]


def test_a_qemu_without_multifd(two: FakeNode) -> None:
    two.scripts["web1"].lacks = ("multifd",)
    updated(two)
    assert claim(two).form == {"capabilities": ["mapped-ram"], "channels": 0, "direct": False}


@pytest.mark.parametrize("kind", ["hot", "idle", "busy"])
def test_every_guest_is_saved_at_last(two: FakeNode, kind: str) -> None:
    """One that QEMU stopped by itself, and one that never writes less."""
    two.scripts["web1"].copy = kind
    before = live(two).guest
    updated(two)
    assert before is not None
    assert (live(two).guest or {})["boot"] == before["boot"]
    times = result(two)["vms"][0]
    assert times["paused_at"] <= times["stopped_at"] <= times["saved_at"] < times["resumed_at"]


def test_a_guest_that_stays_hot_is_not_copied_for_ever(two: FakeNode) -> None:
    object.__setattr__(two.qemu, "deadlines", replace(two.qemu.deadlines, copy_s=3.0))  # type: ignore[attr-defined]  # of QEMU
    two.scripts["web1"].copy = "hot"
    jump(two)
    passes = [one for name, one in two.commands if name == "web1" and one == "query-migrate"]
    assert len(passes) < 40


def test_a_copy_that_fails_stops_nobody(two: FakeNode) -> None:
    two.scripts["web2"].copy = "fails"
    arm(two)
    before = {name: dict(live(two, name).capabilities) for name in NAMES}
    parameters = {name: dict(live(two, name).parameters) for name in NAMES}
    assert save.run(two.live) == "aborted"
    assert "VM web2: copying its memory failed: No space left on device" in result(two)["error"]
    assert [one for _name, one in two.commands if one in ("stop", "cont")] == []
    for name in NAMES:
        qemu = live(two, name)
        assert (qemu.status, len(qemu.devices)) == ("running", 1)
        assert (qemu.capabilities, qemu.parameters) == (before[name], parameters[name])
        assert [path.name for path in Path(two.live.folder.vm(name)).iterdir()] == []


def test_a_disk_without_space_stops_nobody(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found before QEMU finds it, amid its writes."""
    asked: list[tuple[str, int]] = []

    def full(path: str, room: int) -> None:
        asked.append((path, room))
        raise KernelError("reserve 64 MiB for", path, errno.ENOSPC)

    arm(two)
    monkeypatch.setattr(state_file, "reserve", full)
    assert save.run(two.live) == "aborted"
    assert sorted(asked) == [(two.live.folder.state(name), 64 << 20) for name in NAMES]
    assert "ENOSPC" in result(two)["error"]
    assert [one for _name, one in two.commands if one in ("stop", "cont")] == []
    assert [live(two, name).status for name in NAMES] == ["running", "running"]


@pytest.mark.parametrize("name", NAMES)
def test_killed_while_copying(two: FakeNode, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Its unit brings all back; the copies are given up."""
    arm(two)
    before = dict(live(two, name).capabilities)
    copy = two.qemu.copy

    def dies(vm: object, state: str, others: object) -> None:
        copy(vm, state, others)  # type: ignore[arg-type]  # of the manifest
        if f"/{name}/" in state:
            raise Killed

    object.__setattr__(two.qemu, "copy", dies)
    with pytest.raises(Killed):
        save.run(two.live)
    assert phase(two) == "copying"
    assert abort.recover(two.live) == "aborted"
    assert live(two, name).capabilities == before
    for one in NAMES:
        assert live(two, one).status == "running"
        assert [path.name for path in Path(two.live.folder.vm(one)).iterdir()] == []


def test_a_restore_by_a_qemu_that_lacks_it(two: FakeNode) -> None:
    """Refused by name, before anything is loaded; the state is kept."""
    jump(two)
    two.scripts["web1"].lacks = ("mapped-ram", "multifd")
    assert resume.resume(two.live) == "failed"
    error = result(two)["vms"][0]["error"]
    assert "saved with mapped-ram, multifd" in error
    assert "QEMU 10.0.2 lacks mapped-ram, multifd: install the QEMU that saved it again" in error
    assert (claim(two).state, two.live_vm("web1")) == ("failed", None)
    assert live(two, "web2").status == "running"
    two.scripts["web1"].lacks = ()
    assert way_out.restore(two.live, ["web1"]) == "done"
    assert live(two).status == "running"


def test_a_claim_with_a_form_that_is_none(two: FakeNode) -> None:
    jump(two)
    folder = two.live.folder.vm("web1")
    _claim.store(folder, replace(claim(two), form={"capabilities": ["xbzrle"]}))
    assert resume.resume(two.live) == "failed"
    assert "form of VM web1.capabilities: ['xbzrle'] are not mapped-ram and multifd" in result(two)["vms"][0]["error"]


def test_all_of_a_state_is_hashed_where_it_is_asked_for(two: FakeNode) -> None:
    object.__setattr__(two.qemu, "deadlines", replace(two.qemu.deadlines, whole_hash=True))  # type: ignore[attr-defined]  # of QEMU
    arm(two)
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert claim(two).fingerprint.whole
    assert resume.resume(two.live) == "done"
