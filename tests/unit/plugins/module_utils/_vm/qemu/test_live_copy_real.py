# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of guests on a real QEMU, copied while they run."""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Saved
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import state_form
from tests.fake.vm.boot_sector import TICKS
from tests.fake.vm.memory_guest import BEGIN, memory_guest
from tests.fake.vm.real import NEEDS_QEMU, Machine, running

pytestmark = [*NEEDS_QEMU]
MIB = 1 << 20


def others(_nearly: bool) -> bool:
    """Others are still being copied."""
    return True


def nobody(_nearly: bool) -> bool:
    """No other is."""
    return False


MANY = 100_000
"""Ticks that a guest counts within seconds, at most."""


@contextlib.contextmanager
def guest(
    filled: int, rewritten: int, copy_s: float = 120.0, rests: bool = True, unused: int = 32
) -> Iterator[Machine]:
    """A guest that has filled so many MiB, and rewrites some."""
    with tempfile.NamedTemporaryFile(prefix="kf") as disk:
        disk.write(memory_guest(filled * MIB, rewritten * MIB, rests).ljust(MIB, b"\0"))
        disk.flush()
        words = ["-drive", f"file={disk.name},format=raw,if=none,id=d", "-device", "ide-hd,drive=d"]
        with running("-m", str(filled + unused), *words) as machine:
            deadlines = replace(machine.backend.deadlines, copy_s=copy_s, migrate_s=120.0, start_s=60.0, answer_s=60.0)
            object.__setattr__(machine.backend, "deadlines", deadlines)
            until = time.monotonic() + 120
            while not word(machine, BEGIN + filled * MIB - 4096) or not word(machine, TICKS):
                assert time.monotonic() < until, "the guest does not run"
                time.sleep(0.2)
            yield machine


def word(machine: Machine, address: int) -> int:
    """A word of the guest's memory, by its monitor."""
    arguments: dict[str, Any] = {"command-line": f"xp /1wx {address}"}
    with _qmp.connect(machine.qmp, 60.0) as qmp:
        return int(str(qmp.execute("human-monitor-command", **arguments)).split()[-1], 16)


def settings(machine: Machine) -> tuple[object, object]:
    with _qmp.connect(machine.qmp, 60.0) as qmp:
        return qmp.execute("query-migrate-capabilities"), qmp.execute("query-migrate-parameters")


def brought_back(machine: Machine, state: str, saved: Saved) -> None:
    """The guest goes on from its state, and counts from there."""
    vm, before = machine.vm({}), word(machine, TICKS)
    assert machine.status() == "postmigrate"
    machine.reap()
    machine.backend.discard(vm)
    state_file.verify(state, saved.fingerprint)
    seen: list[int] = []
    machine.backend.restore(vm, state, saved.form, True, lambda: seen.append(0))
    assert seen == [0]
    after = word(machine, TICKS)
    assert before <= after < before + MANY
    time.sleep(1)
    assert word(machine, TICKS) > after


def test_memory_is_copied_while_the_guest_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """1 GiB; the pause is for the last pages, not for all."""
    with guest(filled=1024, rewritten=4, rests=False) as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        stopped = machine.backend.save(vm, state)
        machine.backend.undo(vm, state)
        before = word(machine, TICKS)
        begun = time.monotonic()
        machine.backend.copy(vm, state, others)
        machine.backend.copy(vm, state, others)
        copied_s = time.monotonic() - begun
        assert (machine.status(), word(machine, TICKS) > before) == ("running", True)
        live = machine.backend.save(vm, state)
        pauses = [round((one.saved_at - one.stopped_at) * 1000) for one in (stopped, live)]
        with capsys.disabled():
            print(f"\n1 GiB: pause {pauses[0]} ms stopped, {pauses[1]} ms copied before in {copied_s:.2f} s")
        assert live.form["capabilities"] == ["mapped-ram", "multifd"]
        assert live.form["direct"] == state_form.takes_direct_io(str(machine.folder))
        assert stopped.form["capabilities"] == []
        assert pauses[1] < pauses[0] / 2
        brought_back(machine, state, live)


def test_a_guest_that_writes_faster_than_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    """It is stopped at last, with what it rewrites left."""
    with guest(filled=256, rewritten=192) as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        begun = time.monotonic()
        machine.backend.copy(vm, state, others)
        copied_s = time.monotonic() - begun
        assert machine.status() == "running"
        saved = machine.backend.save(vm, state)
        with capsys.disabled():
            print(
                f"\n192 MiB rewritten: copied in {copied_s:.2f} s, {saved.saved_at - saved.stopped_at:.3f} s of pause"
            )
        brought_back(machine, state, saved)


def test_an_idle_guest_runs_on_until_it_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    """It writes a page at each tick, and waits for others."""
    with guest(filled=64, rewritten=0, unused=3) as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        machine.backend.copy(vm, state, others)
        time.sleep(2)
        assert machine.status() == "running"
        machine.backend.copy(vm, state, others)
        before = word(machine, TICKS)
        time.sleep(1)
        assert (machine.status(), word(machine, TICKS) > before) == ("running", True)
        saved = machine.backend.save(vm, state)
        pause_s = saved.saved_at - saved.stopped_at
        with capsys.disabled():
            print(f"\nidle: {pause_s:.3f} s of pause, 3 s after it was copied")
        assert pause_s < 3
        brought_back(machine, state, saved)


def test_who_is_copied_last_is_not_slowed_down(capsys: pytest.CaptureFixture[str]) -> None:
    """It would only be without its VF for longer."""
    with guest(filled=64, rewritten=0, unused=3) as machine:
        vm, state, took = machine.vm({}), str(machine.folder / "state"), []
        for who in (others, nobody):
            begun = time.monotonic()
            machine.backend.copy(vm, state, who)
            took.append(time.monotonic() - begun)
            machine.backend.undo(vm, state)
        with capsys.disabled():
            print(f"\n64 MiB: copied in {took[0]:.2f} s beside others, {took[1]:.2f} s as the last one")
        assert took[1] < took[0]


def test_a_guest_that_does_nothing_may_stop_by_itself() -> None:
    """QEMU stops it after a pass that found nothing, and waits."""
    with running("-m", "64") as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        begun = time.time()
        machine.backend.copy(vm, state, others)
        machine.backend.copy(vm, state, others)
        assert machine.status() in ("running", "finish-migrate")
        saved = machine.backend.save(vm, state)
        assert begun - 0.1 <= saved.stopped_at <= saved.saved_at
        assert saved.form["capabilities"] == ["mapped-ram", "multifd"]
        machine.reap()
        machine.backend.discard(vm)
        machine.backend.restore(vm, state, saved.form, True, lambda: None)
        assert machine.status() == "running"


@pytest.mark.parametrize("lacks", [(), ("multifd",), ("mapped-ram",)])
def test_every_form_is_restored_by_a_real_qemu(monkeypatch: pytest.MonkeyPatch, lacks: tuple[str, ...]) -> None:
    real = state_form.capabilities
    monkeypatch.setattr(
        state_form, "capabilities", lambda qmp: {name: on for name, on in real(qmp).items() if name not in lacks}
    )
    with guest(filled=32, rewritten=1) as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        machine.backend.copy(vm, state, others)
        assert Path(state).exists() is ("mapped-ram" not in lacks)
        saved = machine.backend.save(vm, state)
        expected = [] if "mapped-ram" in lacks else [name for name in ("mapped-ram", "multifd") if name not in lacks]
        assert saved.form["capabilities"] == expected
        brought_back(machine, state, saved)


def is_reserved(path: Path, size: int) -> bool:
    """Whether the disk has the space, or takes no such request."""
    path.with_name("other").touch()
    with path.with_name("other").open("r+b") as file:
        takes = ctypes.CDLL(None).fallocate(file.fileno(), 1, ctypes.c_int64(0), ctypes.c_int64(4096)) == 0
    return not takes or path.stat().st_blocks * 512 >= size


def test_a_copy_that_is_given_up() -> None:
    """In the middle of the first pass; settings are as before."""
    with guest(filled=512, rewritten=4, copy_s=0.05) as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        with _qmp.connect(machine.qmp, 60.0) as qmp:
            qmp.execute("migrate-set-capabilities", capabilities=[{"capability": "xbzrle", "state": True}])
            qmp.execute("migrate-set-parameters", **{"max-bandwidth": 12345678, "downtime-limit": 77})
        before = settings(machine)
        machine.backend.copy(vm, state, others)
        with _qmp.connect(machine.qmp, 60.0) as qmp:
            answer = qmp.execute("query-migrate")
        assert (answer["status"], answer["ram"]["dirty-sync-count"]) == ("active", 1)
        assert is_reserved(Path(state), 512 * MIB)
        assert settings(machine) != before
        ticks = word(machine, TICKS)
        machine.backend.undo(vm, state)
        assert settings(machine) == before
        assert machine.status() == "running"
        time.sleep(0.5)
        assert word(machine, TICKS) > ticks
        assert [path.name for path in machine.folder.glob("state.*")] == []
        machine.backend.copy(vm, state, others)  # and once more from the beginning
        brought_back(machine, state, machine.backend.save(vm, state))
