# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that end, or stand still, before they are saved."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    abort,
    kept_states,
    resume,
    save,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, claim, live, phase, result

FIRMWARE = "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet"
COLD = {"vms": {"web1": {"name": "web1", "cold_start": True}}}
ENDS = [
    ("guest-shutdown", "it was shut down by its guest"),
    ("guest-reset", "its guest rebooted, at which its QEMU ends"),
    ("guest-panic", "its guest panicked, at which its QEMU ends"),
    ("host-signal", "somebody ended its process by a signal"),
    ("host-qmp-quit", "somebody ended it by its monitor"),
    ("shutdown", "it was shut down by its guest"),
]
PHASES = ("unplugging", "copying", "saving")


@pytest.fixture
def two(node: FakeNode, pf: FakePf) -> FakeNode:
    node.vm("web2", pf, 2)
    return node


def of_vm(node: FakeNode, name: str = "web1") -> dict[str, Any]:
    return next(vm for vm in result(node)["vms"] if vm["name"] == name)


def left(node: FakeNode, name: str = "web1") -> list[str]:
    return sorted(path.name for path in Path(node.live.folder.vm(name)).iterdir())


def at(node: FakeNode, monkeypatch: pytest.MonkeyPatch, when: str, act: Any) -> None:  # noqa: ANN401 - a callable
    """Do something once, when the update enters a phase."""
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress

    enter = Progress.enter

    def entered(self: Progress, name: str, message: str = "") -> None:
        enter(self, name, message)
        if name == when:
            act()

    monkeypatch.setattr(Progress, "enter", entered)


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(("kind", "why"), ENDS)
def test_a_guest_that_ends_while_it_is_copied_stays_down(two: FakeNode, kind: str, why: str, cold: bool) -> None:
    """The others are updated, and nothing starts it."""
    two.scripts["web1"].copy = kind
    arm(two, **(COLD if cold else {}))
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert (claim(two).state, claim(two, "web2").state) == ("ended", "saved")
    settings = ["state.settings"] if kind == "shutdown" else []  # its QEMU is there
    assert left(two) == ["claim.json", "manifest.json", *settings]
    assert resume.resume(two.live) == "done"
    assert (two.live_vm("web1"), live(two, "web2").status) == (None, "running")
    assert (of_vm(two)["result"], of_vm(two)["error"]) == ("ended", why)
    assert kept_states.needed(two.live) == []
    assert way_out.forget(two.live, [])


@pytest.mark.parametrize("cold", [False, True])
@pytest.mark.parametrize(("kind", "why"), ENDS)
def test_it_stays_down_when_the_update_is_given_up(two: FakeNode, kind: str, why: str, cold: bool) -> None:
    two.scripts["web1"].copy, two.scripts["web2"].copy = kind, "fails"
    arm(two, **(COLD if cold else {}))
    assert save.run(two.live) == "aborted"
    assert (of_vm(two)["result"], live(two, "web2").status) == ("ended", "running")
    assert why in of_vm(two)["error"]
    assert two.live_vm("web1") is None or live(two).status == "shutdown"
    assert [one for name, one in two.commands if (name, one) == ("web1", "cont")] == []
    assert left(two) == []


def test_a_killed_one_is_started_where_that_is_allowed(two: FakeNode) -> None:
    two.scripts["web1"].copy = "killed"
    arm(two, **COLD)
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert (claim(two).state, claim(two).boot_id) == ("running", "")
    assert resume.resume(two.live) == "done"
    assert of_vm(two)["result"] == "cold-started"
    assert live(two).status == "running"


@pytest.mark.parametrize("kind", ["killed", "host-error"])
def test_a_killed_one_is_named_where_it_is_not(two: FakeNode, kind: str) -> None:
    two.scripts["web1"].copy = kind
    arm(two)
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert resume.resume(two.live) == "failed"
    assert live(two, "web2").status == "running"
    assert "web1" in result(two)["error"]
    assert "needs a cold start" in of_vm(two)["error"]


@pytest.mark.parametrize("when", PHASES)
@pytest.mark.parametrize("well", [True, False])
def test_an_end_that_nobody_saw(two: FakeNode, monkeypatch: pytest.MonkeyPatch, when: str, well: bool) -> None:
    """Its unit says whether it was killed."""
    qemu = live(two)
    arm(two, **COLD)
    at(two, monkeypatch, when, lambda: qemu.shut_down("guest-shutdown") if well else qemu.end())
    with pytest.raises(Rebooted):
        save.run(two.live)
    assert claim(two).state == ("ended" if well else "running")
    assert resume.resume(two.live) == "done"
    assert (two.live_vm("web1") is None) is well


@pytest.mark.parametrize("well", [True, False])
def test_a_run_that_is_killed_with_it(two: FakeNode, monkeypatch: pytest.MonkeyPatch, well: bool) -> None:
    qemu = live(two)
    arm(two, **COLD)

    def ends() -> None:
        qemu.shut_down("guest-shutdown") if well else qemu.end()
        raise Killed

    at(two, monkeypatch, "copying", ends)
    with pytest.raises(Killed):
        save.run(two.live)
    assert abort.recover(two.live) == "aborted"
    assert of_vm(two)["result"] == ("ended" if well else "cold-started")
    assert (two.live_vm("web1") is None) is well


def test_the_last_event_is_read_after_a_broken_pipe(tmp_path: Path) -> None:
    """A command to a QEMU that is gone reads nothing."""
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import EndedError
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import end as _end
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import Qmp

    here, there = socket.socketpair()
    hello = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}}}}
    gone = {"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-shutdown"}}
    there.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in (hello, {"return": {}, "id": 1}, gone)))
    ends = _end.End(Sysfs(str(tmp_path)), lambda _argv: "LoadState=loaded\nResult=signal\n", 1.0, time.sleep)
    vm: Any = SimpleNamespace(name="web1", unit="web1.service", started=1)

    def asks() -> None:
        with ends.connected(vm, lambda: Qmp(here, 5.0), lambda _name: 1) as qmp:
            there.close()
            qmp.execute("query-status")

    with pytest.raises(EndedError) as caught:
        asks()
    assert (caught.value.ending.crashed, str(caught.value)) == (False, "it was shut down by its guest")


def test_what_ended_well_a_collected_unit_does_not_tell(node: FakeNode, pf: FakePf) -> None:
    """A unit with --collect is unloaded when it failed; the journal knows."""
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.end import FAILED, End

    vm = arm(node).vms[0]
    asked: list[list[str]] = []

    def run(answers: dict[str, str]) -> End:
        def act(argv: Any) -> str:  # noqa: ANN401 - words
            asked.append(list(argv))
            if argv[0] not in answers:
                raise SriovError("no")
            return answers[argv[0]]

        return End(node.host.sysfs, act, 1.0, lambda _s: None)

    gone = "LoadState=not-found\nActiveState=inactive\nResult=success\n"
    assert run({"systemctl": gone, "journalctl": "signal\n"}).by_unit(vm).crashed
    assert f"MESSAGE_ID={FAILED}" in asked[-1]
    assert not run({"systemctl": gone, "journalctl": ""}).by_unit(vm).crashed
    assert run({"systemctl": "LoadState=loaded\nResult=core-dump\n"}).by_unit(vm).why.startswith("its QEMU was killed")
    late = "LoadState=loaded\nActiveState=deactivating\nResult=success\n"
    assert run({"systemctl": late}).by_unit(vm).why == "it ended, and nothing says why"
    assert run({}).by_unit(vm).why == "it ended, and nothing says why"
    assert not run({}).by_unit(vm).crashed


@pytest.mark.parametrize("kind", ["paused", "io-error", "guest-panicked", "internal-error", "suspended"])
def test_a_guest_that_others_stop_is_left_so(two: FakeNode, kind: str) -> None:
    """The update is given up, and nobody continues the guest."""
    two.scripts["web1"].copy = kind
    arm(two)
    assert save.run(two.live) == "aborted"
    assert f"VM web1 is {kind}, not running: it is not saved" in result(two)["error"]
    assert (live(two).status, live(two, "web2").status) == (kind, "running")
    assert (of_vm(two)["result"], len(live(two).devices)) == ("stopped by others", 1)
    assert of_vm(two)["error"] == f"it is {kind}, and not by this update: it is left so"
    assert left(two) == []


def test_a_guest_that_is_paused_when_it_is_to_be_saved(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu = live(two)
    arm(two)
    at(two, monkeypatch, "saving", lambda: setattr(qemu, "status", "paused"))
    assert save.run(two.live) == "aborted"
    assert (live(two).status, live(two, "web2").status) == ("postmigrate", "running")
    assert [one for name, one in two.commands if (name, one) == ("web1", "cont")] == []
    assert of_vm(two)["error"] == "it is paused, and not by this update: it is left so"


def test_an_idle_guest_that_qemu_has_stopped_goes_on_by_itself(two: FakeNode) -> None:
    """Its images were its own all the time."""
    two.scripts["web1"].copy, two.scripts["web2"].copy = "idle", "fails"
    arm(two)
    assert save.run(two.live) == "aborted"
    mine = [one for name, one in two.commands if name == "web1"]
    assert "migrate_cancel" in mine
    assert [one for one in mine if one in ("migrate-continue", "stop", "cont")] == []
    assert (live(two).status, len(live(two).devices), of_vm(two)["result"]) == ("running", 1, "resumed-here")
    assert left(two) == []


def test_a_guest_that_this_update_has_stopped_goes_on(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between stop and the end of the migration."""
    arm(two)
    finish = type(live(two)).do_stop

    def stopped(self: Any) -> None:  # noqa: ANN401 - a fake
        finish(self)
        if self.name == "web1":
            raise Killed

    monkeypatch.setattr(type(live(two)), "do_stop", finish)
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest

    def dies(self: Guest) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Guest, "finish_migration", dies)
        with pytest.raises(Killed):
            save.run(two.live)
    for name in ("web1", "web2"):
        live(two, name).status = "paused"
    assert phase(two) == "saving"
    assert abort.recover(two.live) == "aborted"
    assert (live(two).status, live(two, "web2").status) == ("running", "running")


@pytest.mark.parametrize("when", ["unplugging", "copying", "saving"])
@pytest.mark.parametrize("cold", [False, True])
def test_the_host_goes_down_before_anything_is_saved(
    two: FakeNode, monkeypatch: pytest.MonkeyPatch, when: str, cold: bool
) -> None:
    """Nothing is loaded, the policy decides, and who is down is named."""

    def dies() -> None:
        raise Killed

    arm(two, **(COLD if cold else {}))
    at(two, monkeypatch, when, dies)
    with pytest.raises(Killed):
        save.run(two.live)
    monkeypatch.undo()
    assert [claim(two, name).state for name in ("web1", "web2")] == ["unsaved", "unsaved"]
    two.kexec(FIRMWARE)
    assert way_out.come_back(two.live) == "failed"
    assert "it went down with its host before it was saved" in of_vm(two, "web2")["error"]
    assert two.live_vm("web2") is None
    assert of_vm(two)["result"] == ("cold-started" if cold else "failed")
    assert (two.live_vm("web1") is not None) is cold
    assert [one for _name, one in two.commands if one == "migrate-incoming"] == []
    assert kept_states.needed(two.live) == []
    assert way_out.forget(two.live, [])


def test_before_such_a_start_the_hook_is_asked(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tests.fake.vm.update import OPTIONS

    def dies() -> None:
        raise Killed

    arm(two, **COLD, options=replace(OPTIONS, confirm_not_elsewhere=("/opt/fenced",)))
    at(two, monkeypatch, "copying", dies)
    with pytest.raises(Killed):
        save.run(two.live)
    monkeypatch.undo()
    two.kexec(FIRMWARE)

    def refuse(argv: list[str]) -> None:
        if argv[0] == "/opt/fenced":
            raise SriovError(f"{argv[1]} runs on h2")

    two.on_run = refuse
    assert way_out.come_back(two.live) == "failed"
    assert two.live_vm("web1") is None
    assert "web1 runs on h2" in of_vm(two)["error"]


def test_a_policy_to_leave_it(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies() -> None:
        raise Killed

    arm(two, vms={"web1": {"name": "web1", "cold_start": True, "on_other_kernel": "leave"}})
    at(two, monkeypatch, "copying", dies)
    with pytest.raises(Killed):
        save.run(two.live)
    monkeypatch.undo()
    two.kexec(FIRMWARE)
    assert way_out.come_back(two.live) == "failed"
    assert two.live_vm("web1") is None
    assert "its policy is to leave it: it went down with its host" in of_vm(two)["error"]


def test_a_form_without_a_state_is_loaded_by_nobody(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for it, in this boot or another."""
    for boot, again in ((two.boot_id(), True), ("another", True), ("another", False)):
        for cold in (True, False):
            for live_ in (True, False):
                arm_claim = _claim.Claim("m", "web1", "unsaved", two.boot_id(), "u", 1.0, _claim_no_file(), 1.0, 1.0)
                found = _claim.decide(arm_claim, "m", boot, live_, cold, again)
                assert found not in ("start", "adopt")


def _claim_no_file() -> Any:  # noqa: ANN401 - a fingerprint
    from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import NO_FILE

    return NO_FILE


def dies(node: FakeNode, command: str, name: str = "web1") -> None:
    """Let a QEMU crash at a command, and answer nothing."""
    qemu = live(node, name)

    def crash(**_arguments: object) -> None:
        qemu.end()
        raise OSError("SIGSEGV")

    setattr(qemu, f"do_{command}", crash)


@pytest.mark.parametrize("cold", [False, True])
def test_a_qemu_that_crashes_while_its_copy_is_given_up(two: FakeNode, cold: bool) -> None:
    """Its guest ran until then, so there is no memory to load."""
    two.scripts["web2"].copy = "fails"
    arm(two, **(COLD if cold else {}))
    dies(two, "migrate_cancel")
    assert save.run(two.live) == "aborted"
    assert live(two, "web2").status == "running"
    assert of_vm(two)["result"] == ("cold-started" if cold else "ended")
    assert (two.live_vm("web1") is not None) == cold
    assert "is gone, so its claim decides" in " ".join(two.log)


def test_a_qemu_that_crashes_while_its_save_is_undone(two: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is in its state, and it has not run since."""
    guest = (live(two).guest or {})["boot"]
    arm(two)

    def fails(*_arguments: object) -> None:
        dies(two, "query_status")
        raise SriovError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(two.qemu), "discard", fails)
        assert save.run(two.live) == "aborted"
    assert (of_vm(two)["result"], live(two).status, (live(two).guest or {})["boot"]) == ("restored", "running", guest)
    assert live(two, "web2").status == "running"
