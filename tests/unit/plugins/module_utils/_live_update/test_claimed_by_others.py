# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims whose VM somebody else has started, or nobody has seen running."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import status as status_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import Killed, claim, jump, live, result


def killed_before_the_start(node: FakeNode) -> None:
    """The claim is there, its QEMU is not."""

    def dies(_vm: ManifestVm, _argv: Sequence[str]) -> None:
        raise Killed

    start = node.qemu.start  # type: ignore[attr-defined]  # of this backend
    object.__setattr__(node.qemu, "start", dies)
    with pytest.raises(Killed):
        resume.resume(node.live)
    object.__setattr__(node.qemu, "start", start)


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_vm_that_somebody_started_while_it_was_claimed(node: FakeNode, pf: FakePf, status: str) -> None:
    """From its disks: neither adopted nor ended; the state stays."""
    jump(node)
    killed_before_the_start(node)
    assert claim(node).state == "claimed"
    other = node.vm("web1")
    other.status = status
    assert resume.resume(node.live) == "failed"
    assert live(node) is other
    assert (other.status, other.commands) == (status, [])
    assert claim(node).state == "claimed"
    assert Path(node.live.folder.state("web1")).exists()
    assert "another VM of this name runs already" in str(result(node)["vms"][0]["error"])
    assert "`sriovctl live-update forget --discard-memory web1` forgets that state" in str(
        result(node)["vms"][0]["error"]
    )


def test_a_vm_that_was_started_again_is_not_taken_for_a_restored_one(node: FakeNode, pf: FakePf) -> None:
    """Its claim is running, and its process another."""
    jump(node)
    die_before_cont(node)
    live(node).end()
    other = node.vm("web1")
    assert resume.resume(node.live) == "failed"
    assert other.commands == []


def die_before_cont(node: FakeNode) -> None:
    def dies(_guest: Guest, _loaded: bool) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Guest, "_continue", dies)
        with pytest.raises(Killed):
            resume.resume(node.live)
    assert claim(node).state == "running"


def test_a_vm_that_was_not_seen_to_run_is_not_forgotten(node: FakeNode, pf: FakePf) -> None:
    """The resume died between the claim and the guest's first instruction."""
    jump(node)
    die_before_cont(node)
    with pytest.raises(RefusedError, match="saved states of web1 would be lost, these VMs were not seen to run"):
        way_out_of(node)
    assert way_out.restore(node.live, []) == "done"
    assert live(node).status == "running"
    way_out_of(node)
    assert node.live.folder.read_status() is None


@pytest.mark.parametrize("act", ["come_back", "restore"])
def test_an_interrupted_restore_is_finished_by_hand(node: FakeNode, pf: FakePf, act: str) -> None:
    """Or by the second attempt, and then left alone."""
    jump(node)
    die_before_cont(node)
    waiting = live(node)

    def finish() -> str | None:
        return way_out.restore(node.live, ["web1"]) if act == "restore" else way_out.come_back(node.live)

    assert finish() == "done"
    assert live(node) is waiting
    assert waiting.status == "running"
    waiting.commands.clear()
    finish()
    assert waiting.commands == []


def test_a_vm_that_ran_and_ended_is_forgotten(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    assert resume.resume(node.live) == "done"
    live(node).end()
    way_out.restore(node.live, [])
    assert result(node)["vms"][0]["result"] == "ended"
    way_out_of(node)


def way_out_of(node: FakeNode) -> None:
    """Forget, whatever phase it is in."""
    status = node.live.folder.read_status() or {}
    if status["phase"] not in ("done", "failed"):
        status_file.write_status(node.live.folder, status["manifest"], "failed", status["boot_id"], 1.0)
    assert way_out.forget(node.live, [])


def test_the_claims_say_who_was_seen_to_run(node: FakeNode, pf: FakePf) -> None:
    """A result that cannot be read changes nothing about that."""
    jump(node)
    assert resume.resume(node.live) == "done"
    assert claim(node).state == "acknowledged"
    (Path(node.live.folder.path) / "result.json").write_text("{")
    assert way_out.forget(node.live, [])


def test_a_vm_that_runs_without_an_acknowledgement(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not forgotten, and the next restore acknowledges it."""
    jump(node)
    original = _claim.store

    def full(folder: str, one: _claim.Claim) -> _claim.Claim:
        if one.state == "acknowledged":
            raise KernelError("write", folder, errno.ENOSPC)
        return original(folder, one)

    with monkeypatch.context() as patch:
        patch.setattr(_claim, "store", full)
        assert resume.resume(node.live) == "done"
    assert (claim(node).state, live(node).status) == ("running", "running")
    assert "VM web1 runs, which its claim does not have" in " ".join(node.log)
    with pytest.raises(RefusedError, match="were not seen to run"):
        way_out.forget(node.live, [])
    assert way_out.restore(node.live, []) == "done"
    assert claim(node).state == "acknowledged"
    assert way_out.forget(node.live, [])
