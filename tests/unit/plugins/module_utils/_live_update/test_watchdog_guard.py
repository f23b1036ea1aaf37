# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog around the jump, on a fake node."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    abort,
    facts,
    resume,
    save,
    watchdog,
    watchdog_facts,
    watchdog_guard,
    watchdog_plan,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.pfs import PfSet
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, live, phase
from tests.fake.vm.watchdog import IDENTITY, FakeWatchdog


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeouts as the boot alone needs them."""
    monkeypatch.setattr(watchdog_plan, "WATCHDOG_S", 0.0)


@pytest.fixture
def dog(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> FakeWatchdog:
    return FakeWatchdog(node, monkeypatch)


def jump(node: FakeNode, dog: FakeWatchdog) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    dog.of_the_new_kernel()


def test_it_is_armed_before_the_jump_and_runs_on(node: FakeNode, dog: FakeWatchdog) -> None:
    manifest = arm(node)
    assert manifest.watchdog == {"name": "watchdog0", "identity": IDENTITY, "module": "i6300esb", "timeout_s": 3}
    seen = list[tuple[list[int], bool]]()
    reboot = node.live.kexec.reboot

    def watched(command: int) -> int:
        seen.append((list(dog.timeouts), dog.stopped))
        return reboot(command)

    object.__setattr__(node.live.kexec, "reboot", watched)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert seen == [([3], False)]
    assert not dog.stopped


def test_it_is_not_touched_before_every_vm_is_saved(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(node)

    def fails(*_arguments: object) -> None:
        raise RefusedError("the disk is full")

    monkeypatch.setattr(type(node.qemu), "save", fails)
    assert save.run(node.live) == "aborted"
    assert (dog.timeouts, dog.fed) == ([], b"")


def test_a_kexec_that_is_refused_stops_it(node: FakeNode, dog: FakeWatchdog) -> None:
    arm(node)
    node.reboot_errno = errno.EBUSY
    assert save.run(node.live) == "aborted"
    assert (dog.timeouts, dog.stopped) == ([3], True)
    assert live(node).status == "running"


@pytest.mark.parametrize(("policy", "reached"), [("auto", "kexec"), ("require", "aborted")])
def test_one_that_cannot_be_armed_any_more(node: FakeNode, dog: FakeWatchdog, policy: str, reached: str) -> None:
    arm(node, options=replace(OPTIONS, watchdog=policy))
    dog.longest = 2
    if policy == "require":
        assert save.run(node.live) == "aborted"
        assert live(node).status == "running"
    else:
        with pytest.raises(Rebooted):
            save.run(node.live)
        assert any("no watchdog guards the jump: " in line for line in node.log)
    assert phase(node) == reached
    assert dog.stopped


def test_the_resume_feeds_it_and_stops_it_before_a_guest_runs(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset would lose the memory of a guest that runs."""
    jump(node, dog)
    seen = dict[str, bool]()
    original = _claim.store

    def store(folder: str, one: _claim.Claim) -> _claim.Claim:
        seen[one.state] = dog.stopped
        return original(folder, one)

    monkeypatch.setattr(_claim, "store", store)
    assert resume.resume(node.live) == "done"
    assert seen == {"claimed": False, "running": True, "acknowledged": True}
    assert dog.timeouts == [3, 3]


@pytest.mark.parametrize("script", ["exits", "runs"])
def test_it_is_stopped_in_the_end_whatever_happens(node: FakeNode, dog: FakeWatchdog, script: str) -> None:
    jump(node, dog)
    node.scripts["web1"].start = script
    resume.resume(node.live)
    assert dog.stopped
    dog.device.write_bytes(b"")
    node.scripts["web1"].start = "runs"
    assert way_out.come_back(node.live) == ("done" if script == "exits" else None)
    assert dog.stopped is (script == "exits")


def test_another_kernel_stops_it_before_it_restores(node: FakeNode, dog: FakeWatchdog) -> None:
    jump(node, dog)
    node.put("/proc/sys/kernel/osrelease", "6.1-other\n")
    assert way_out.come_back(node.live) == "failed"
    assert live(node).status == "running"
    assert dog.stopped


def test_where_vms_run_already_it_is_stopped_at_once(node: FakeNode, dog: FakeWatchdog) -> None:
    jump(node, dog)
    manifest = resume._require(node.live)
    node.vm("web1")
    watchdog_guard.taken(node.live, manifest)
    assert dog.stopped


def test_one_that_somebody_feeds_is_theirs(node: FakeNode, dog: FakeWatchdog) -> None:
    jump(node, dog)
    dog.hold()
    assert resume.resume(node.live) == "done"
    assert dog.fed == b""
    assert any("is fed by another program" in line for line in node.log)


def test_one_that_a_killed_resume_has_left_is_stopped(node: FakeNode, dog: FakeWatchdog) -> None:
    """Active and not open, it would reset a host with running VMs."""
    jump(node, dog)
    dog.set(state="active")
    assert way_out.come_back(node.live) == "done"
    assert dog.stopped


def test_one_that_a_killed_run_has_left_is_stopped_before_vms_run(node: FakeNode, dog: FakeWatchdog) -> None:
    arm(node)

    def killed() -> None:
        raise KeyboardInterrupt

    object.__setattr__(node.live.kexec, "sync", killed)
    with pytest.raises(KeyboardInterrupt):
        save.run(node.live)
    dog.of_the_new_kernel()
    dog.set(state="active")
    assert abort.recover(node.live) == "aborted"
    assert (dog.stopped, live(node).status) == (True, "running")


def test_what_is_done_by_hand_leaves_none_armed(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump(node, dog)
    seen = list[bool]()
    enable = PfSet.enable_all

    def watched(pfs: PfSet) -> list[threading.Thread]:
        seen.append(dog.stopped)
        return enable(pfs)

    monkeypatch.setattr(PfSet, "enable_all", watched)
    assert way_out.restore(node.live, []) == "done"
    assert seen == [True]


def test_a_new_kernel_without_it_resumes_all_the_same(node: FakeNode, dog: FakeWatchdog) -> None:
    jump(node, dog)
    dog.set(identity="another")
    assert resume.resume(node.live) == "done"
    assert any("is not fed by the resume: this kernel has no such watchdog" in line for line in node.log)


class Still:
    """A clock that stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def awaited(true: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(true() or pause.wait(0.01) for _n in range(500))


@pytest.mark.parametrize("jumps", [True, False])
def test_an_odd_watchdog_keeps_no_vm_stopped(
    node: FakeNode, dog: FakeWatchdog, monkeypatch: pytest.MonkeyPatch, jumps: bool
) -> None:
    """An answer of another type than expected, before and after the jump."""
    if jumps:
        jump(node, dog)
    else:
        arm(node)
        node.reboot_errno = errno.EPERM

    def odd(*_arguments: object) -> None:
        raise ValueError("invalid literal for int()")

    monkeypatch.setattr(watchdog_facts, "find", odd)
    assert (resume.resume if jumps else save.run)(node.live) == ("done" if jumps else "aborted")
    assert live(node).status == "running"
    assert "invalid literal" in " ".join(node.log)


def test_no_progress_no_food(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    device, clock, log = tmp_path / "dev/watchdog0", Still(), list[str]()
    device.write_bytes(b"")
    feeder = watchdog.Feeder(watchdog.Dog(Sysfs(str(tmp_path)), "watchdog0"), 0.04, 60.0, log.append, clock)
    assert awaited(lambda: len(device.read_bytes()) > 2)
    clock.now = 61.0
    assert awaited(lambda: log == ["nothing has moved for 60 s: /dev/watchdog0 is not fed any more"])
    fed = len(device.read_bytes())
    threading.Event().wait(0.1)
    assert len(device.read_bytes()) == fed
    feeder.moved()
    assert awaited(lambda: len(device.read_bytes()) > fed)
    feeder.release()
    feeder.release()
    assert device.read_bytes().count(b"V") == 1
    assert device.read_bytes().endswith(b"V")


def test_a_watchdog_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="open /dev/watchdog7"):
        watchdog.Dog(Sysfs(str(tmp_path)), "watchdog7")


@pytest.mark.parametrize(
    ("policy", "module", "stops"),
    [("0\n", "i6300esb", False), ("-1\n", "i6300esb", True), ("-1\n", "hpwdt", False), ("1\n", "hpwdt", True)],
)
def test_what_a_kexec_does_to_it(node: FakeNode, dog: FakeWatchdog, policy: str, module: str, stops: bool) -> None:
    link = node.host.root / "sys/class/watchdog/watchdog0/device/driver/module"
    link.parent.mkdir(parents=True)
    link.symlink_to(f"/sys/module/{module}")
    node.put("/sys/module/watchdog/parameters/stop_on_reboot", policy)
    (found,) = facts.gather(node.host.sysfs, node.run, [], NEW).watchdogs
    assert (found.module, found.stops, found.max_timeout_s) == (module, stops, 2046.0)


@pytest.mark.parametrize(
    ("answer", "holder"), [("30s\n", "systemd"), ("0\n", "another program"), ("infinity\n", "another program")]
)
def test_who_has_it(node: FakeNode, dog: FakeWatchdog, answer: str, holder: str) -> None:
    dog.set(state="active")
    (found,) = watchdog_facts.find(node.host.sysfs, lambda _argv: answer)
    assert found.holder == holder


def test_required_and_refused(node: FakeNode, dog: FakeWatchdog) -> None:
    dog.longest = 1
    manifest = arm(node, options=replace(OPTIONS, watchdog="require"))
    match = r"was not armed: .*set a timeout of 3 s with WDIOC_SETTIMEOUT"
    with pytest.raises(RefusedError, match=match), watchdog_guard.armed(node.live, manifest):
        pass
