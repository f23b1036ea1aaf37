# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All VFs of all VMs are unplugged before any VM is stopped.

And what becomes of the guests that do not answer.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import abort, resume, save, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import Manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import DEADLINES, FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, live, phase, result

NAMES = ("web1", "web2", "web3", "web4")


@pytest.fixture
def four(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with four VMs; web1 has VF 6."""
    for number, name in enumerate(NAMES[1:]):
        node.vm(name, pf, number)
    patience(node)
    return node


def patience(node: FakeNode, **seconds: float) -> None:
    """Set deadlines of the backend, with time for a busy machine."""
    usual: dict[str, Any] = {"shutdown_s": 20.0, "migrate_s": 20.0, "start_s": 20.0, "answer_s": 20.0}
    object.__setattr__(node.qemu, "deadlines", replace(DEADLINES, **{**usual, **seconds}))


def vms(node: FakeNode) -> dict[str, dict[str, Any]]:
    return {vm["name"]: vm for vm in result(node)["vms"]}


def jumped(node: FakeNode) -> None:
    with pytest.raises(Rebooted):
        raise AssertionError(f"{save.run(node.live)}: {result(node)['error']}")


def stops(node: FakeNode) -> list[str]:
    return [name for name, command in node.commands if command == "stop"]


def plugs(node: FakeNode) -> list[str]:
    return [name for name, command in node.commands if command == "device_add"]


def straggler(node: FakeNode, **script: object) -> Manifest:
    """Arm, with web1 as a straggler that may be shut down."""
    annotations = [{"name": "web1", "straggler": "shutdown", "cold_start": True}]
    manifest = arm(node, vms=vm_choices.by_name(annotations))
    misbehave(node, **{"unplug": "never", **script})
    return manifest


def misbehave(node: FakeNode, **script: object) -> None:
    for key, value in script.items():
        setattr(node.scripts["web1"], key, value)


@pytest.mark.parametrize("script", [{"unplug": "never"}, {"unplug": "refused"}, {"blinks": 10_000}])
def test_one_silent_guest_stops_nobody(four: FakeNode, script: dict[str, object]) -> None:
    arm(four)
    misbehave(four, **script)
    assert save.run(four.live) == "aborted"
    assert stops(four) == []
    assert [live(four, name).status for name in NAMES] == ["running"] * 4
    assert [len(live(four, name).devices) for name in NAMES] == [1] * 4
    assert sorted(plugs(four)) == ["web2", "web3", "web4"]
    assert result(four)["error"].startswith("VM web1: ")
    assert "no VM was stopped" in result(four)["error"]
    assert {vm["result"] for vm in vms(four).values()} == {"resumed-here"}
    assert {vm["stopped_at"] for vm in vms(four).values()} == {None}
    assert all(vm["paused_at"] < vm["resumed_at"] for vm in vms(four).values())


def test_others_wait_for_a_silent_guest_as_long_as_was_said(four: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """All guests are asked at once: one deadline, however many are silent."""
    arm(four)
    for name in NAMES:
        four.scripts[name].unplug = "never"
    patience(four, unplug_s=1.0)
    begins, ends = [], []
    release = QemuBackend.release

    def measured(backend: QemuBackend, vm: ManifestVm, state: str) -> None:
        begins.append(time.monotonic())
        try:
            release(backend, vm, state)
        finally:
            ends.append(time.monotonic())

    monkeypatch.setattr(QemuBackend, "release", measured)
    save.run(four.live)
    assert len(ends) == 4
    assert max(begins) < min(ends)
    assert all(f"VM {name}: gave up waiting" in result(four)["error"] for name in NAMES)
    assert "1 s after it was asked" in result(four)["error"]


def test_all_are_unplugged_before_the_first_stop(four: FakeNode) -> None:
    arm(four)
    misbehave(four, unplug="late", late_s=0.1)
    patience(four, unplug_s=20.0)
    jumped(four)
    order = [command for _name, command in four.commands if command in ("device_del", "stop")]
    assert order == ["device_del"] * 4 + ["stop"] * 4
    found = vms(four)
    gone = [vm["stopped_at"] - vm["paused_at"] for vm in found.values()]
    assert min(gone) >= 0.05
    assert all(vm["paused_at"] < vm["stopped_at"] < vm["saved_at"] for vm in found.values())
    claims = {name: _claim.load(four.live.folder.vm(name)) for name in NAMES}
    assert {name: one.paused_at for name, one in claims.items() if one} == {
        name: vm["paused_at"] for name, vm in found.items()
    }


def test_a_vm_without_vfs_is_away_from_its_stop_on(four: FakeNode) -> None:
    four.vm("db1")
    arm(four)
    jumped(four)
    assert vms(four)["db1"]["paused_at"] == vms(four)["db1"]["stopped_at"]


def test_a_vf_that_came_back_meanwhile_is_not_saved(four: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    arm(four)
    release = QemuBackend.release

    def with_return(backend: QemuBackend, vm: ManifestVm, state: str) -> None:
        kept = dict(live(four).devices)
        release(backend, vm, state)
        if vm.name == "web1":
            live(four).devices.update(kept)

    monkeypatch.setattr(QemuBackend, "release", with_return)
    assert save.run(four.live) == "aborted"
    assert "although it released all: it is not saved" in result(four)["error"]
    assert "web1" not in stops(four)


def test_a_late_answer_is_plugged_again(four: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest answers when the abort has let all VMs go on."""
    arm(four)
    misbehave(four, unplug="late", late_s=1000)
    settle = QemuBackend.settle

    def answered(backend: QemuBackend, vm: ManifestVm, state: str) -> str | None:
        if vm.name == "web1":
            assert plugs(four).count("web1") == 0
            live(four).answer_late()
        return settle(backend, vm, state)

    monkeypatch.setattr(QemuBackend, "settle", answered)
    assert save.run(four.live) == "aborted"
    qemu = live(four)
    assert (len(qemu.devices), qemu.pending) == (1, set())
    assert plugs(four).count("web1") == 1
    assert pf.vfs[6].in_use
    assert "was asked to release VF" not in result(four)["error"]


def test_an_answer_is_awaited_for_a_while(four: FakeNode) -> None:
    """It comes after the first look."""
    arm(four)
    misbehave(four, unplug="late", late_s=1000)
    patience(four, unplug_s=1.0)
    object.__setattr__(four.qemu, "sleep", lambda _seconds: live(four).answer_late())
    assert save.run(four.live) == "aborted"
    assert (len(live(four).devices), plugs(four).count("web1")) == (1, 1)
    assert "was asked to release VF" not in result(four)["error"]


def test_what_may_still_be_released_is_said(four: FakeNode, pf: FakePf) -> None:
    """With what a person can type then."""
    arm(four)
    misbehave(four, unplug="late", late_s=1000)
    assert save.run(four.live) == "aborted"
    error = result(four)["error"]
    assert f"VM web1: the guest was asked to release VF {pf.vfs[6].address} and may do so at any time" in error
    assert vms(four)["web1"]["error"] in error
    assert {vm["error"] for name, vm in vms(four).items() if name != "web1"} == {None}
    typed = shlex.split(error[error.index("printf") :].partition(";")[0])
    assert typed[:2] == ["printf", "%s\\n"]
    commands = [json.loads(line) for line in typed[2:]]
    assert [one["execute"] for one in commands] == ["qmp_capabilities", "device_add"]
    assert commands[1]["arguments"]["host"] == pf.vfs[6].address
    assert "UNIX-CONNECT:/run/kvmfleet-vm/web1.qmp" in error


def test_nothing_is_awaited_of_guests_that_answered(four: FakeNode) -> None:
    """A failed save comes after the release; refusals are answers too."""
    arm(four)
    misbehave(four, migrate="fails")
    assert save.run(four.live) == "aborted"
    assert not list(Path(four.live.folder.path).glob("vms/*/*.unplug"))
    assert [live(four, name).commands[-1] for name in NAMES] == ["migrate-set-parameters"] * 4
    assert "was asked to release" not in result(four)["error"]


@pytest.mark.parametrize("step", ["release", "save", "settle"])
def test_a_killed_run_is_recovered(four: FakeNode, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """By another process, which has no memory but the notes."""
    arm(four)
    misbehave(four, unplug="ok" if step == "save" else "late", late_s=1000)
    real = getattr(QemuBackend, step)

    def killed(backend: QemuBackend, vm: ManifestVm, state: str) -> None:
        with contextlib.suppress(SriovError):
            real(backend, vm, state)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(QemuBackend, step, killed)
        with pytest.raises(Killed):
            save.run(four.live)
    assert phase(four) == ("saving" if step == "save" else "unplugging")
    live(four).answer_late()
    assert abort.recover(four.live) == "aborted"
    assert [live(four, name).status for name in NAMES] == ["running"] * 4
    assert [len(live(four, name).devices) for name in NAMES] == [1] * 4
    assert "was asked to release VF" not in result(four)["error"]
    assert abort.recover(four.live) is None


@pytest.mark.parametrize("power", ["ok", "stays"])
def test_a_straggler_that_may_is_shut_down_and_starts_from_its_disk(four: FakeNode, power: str) -> None:
    """Whether its QEMU ends by itself or has -no-shutdown."""
    straggler(four, power=power)
    boot = (live(four).guest or {})["boot"]
    jumped(four)
    assert vms(four)["web1"]["result"] == "shut-down"
    assert sorted(stops(four)) == ["web2", "web3", "web4"]
    misbehave(four, unplug="ok")
    assert resume.resume(four.live) == "done"
    assert {name: vm["result"] for name, vm in vms(four).items()} == {
        "web1": "cold-started", "web2": "restored", "web3": "restored", "web4": "restored",
    }  # fmt: skip
    assert (live(four).guest or {})["boot"] != boot
    assert len(live(four).devices) == 1


def test_a_straggler_that_does_not_shut_down_ends_the_update(four: FakeNode) -> None:
    straggler(four, power="ignored")
    patience(four, shutdown_s=0.3)
    boot = (live(four).guest or {})["boot"]
    assert save.run(four.live) == "aborted"
    assert stops(four) == []
    assert (live(four).guest or {})["boot"] == boot
    assert [len(live(four, name).devices) for name in NAMES] == [1] * 4
    assert "it was asked to shut down, and may still do so" in result(four)["error"]
    assert _claim.load(four.live.folder.vm("web1")) is None


def test_an_abort_after_a_shutdown_starts_it_again(four: FakeNode) -> None:
    straggler(four, power="ok")
    four.scripts["web2"].migrate = "fails"
    assert save.run(four.live) == "aborted"
    assert vms(four)["web1"]["result"] == "cold-started"
    assert len(live(four).devices) == 1


def test_nobody_is_shut_down_for_an_update_that_ends_anyway(four: FakeNode) -> None:
    """Another VM's straggler policy is to leave the host alone."""
    straggler(four, power="ok")
    four.scripts["web2"].unplug = "never"
    assert save.run(four.live) == "aborted"
    assert ("web1", "system_powerdown") not in four.commands
    assert result(four)["error"].startswith("VM web2: ")


def test_only_a_straggler_is_shut_down(four: FakeNode) -> None:
    """A VM that changed since arming is not."""
    straggler(four, power="ok", unplug="ok")
    live(four).do_device_del("vf0")
    assert save.run(four.live) == "aborted"
    assert "armed were" in result(four)["error"]
    assert ("web1", "system_powerdown") not in four.commands


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        ({"straggler": "shutdown"}, "say cold_start: true too"),
        ({"straggler": "shutdown", "cold_start": False}, "say cold_start: true too"),
        ({"straggler": "stop"}, "'stop' is none of leave, shutdown"),
        ({"straggler": 1}, "1 is none of leave, shutdown"),
    ],
)
def test_a_policy_that_cannot_be(policy: dict[str, object], part: str) -> None:
    with pytest.raises(BadInputError, match=rf"vms\[0\]\.straggler: .*{part}"):
        vm_choices.by_name([{"name": "web1", **policy}])
