# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that end, reset or stop while QEMU copies them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import EndedError, StandsError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import migration, run_state
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from tests.fake.vm.boot_sector import TICKS
from tests.fake.vm.memory_guest import memory_guest
from tests.fake.vm.real import NEEDS_QEMU, Machine, running

from .test_live_copy_real import MIB, word

pytestmark = [*NEEDS_QEMU]
SLOW = 64 * MIB
"""Bytes a second of copies; the guest writes as much."""


@contextlib.contextmanager
def copied(*words: str) -> Iterator[tuple[Machine, str]]:
    """A guest that writes much, with a second monitor."""
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="kf") as disk:
        disk.write(memory_guest(96 * MIB, 64 * MIB, rests=False).ljust(MIB, b"\0"))
        disk.flush()
        more = ["-drive", f"file={disk.name},format=raw,if=none,id=d", "-device", "ide-hd,drive=d"]
        other = f"{disk.name}.m"
        second = ["-qmp", f"unix:{other},server=on,wait=off"]
        slow = mock.patch.object(migration, "FAST", SLOW)
        with running("-m", "128", *more, *second, *words) as machine, slow:
            deadlines = replace(machine.backend.deadlines, copy_s=60.0, migrate_s=120.0, start_s=60.0, answer_s=60.0)
            object.__setattr__(machine.backend, "deadlines", deadlines)
            machine.reap()
            until = time.monotonic() + 120
            while not word(machine, TICKS):
                assert time.monotonic() < until, "the guest does not run"
                time.sleep(0.2)
            yield machine, other


@contextlib.contextmanager
def held() -> Iterator[tuple[Machine, str]]:
    """A guest that is copied, and runs.

    A copy ends by itself when the guest did not write during a whole pass, as on a busy machine: `SLOW` gives it a
    second for that, and then it is another guest's turn.
    """
    for _guest in range(5):
        with copied() as (machine, other):
            machine.backend.copy(machine.vm({}), str(machine.folder / "state"), lambda _nearly: True)
            if machine.status() == "running":
                yield machine, other
                return
    pytest.fail("five copies ended by themselves")


def say(path: str, command: str) -> None:
    with contextlib.suppress(_qmp.QmpClosedError), _qmp.connect(path, 60.0) as qmp:
        qmp.execute(command)


def reset(path: str) -> None:
    with _qmp.connect(path, 60.0) as qmp:
        qmp.execute("system_reset")
        qmp.wait_event(lambda message: message.get("event") == "RESET", "the guest's reset", 60.0)


def meanwhile(machine: Machine, act: Callable[[], None]) -> None:
    """Copy the guest, and act once that is under way."""
    errors: list[BaseException] = []
    state = str(machine.folder / "state")

    def copy() -> None:
        try:
            machine.backend.copy(machine.vm({}), state, lambda _nearly: True)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=copy)
    thread.start()
    until = time.monotonic() + 60
    while not os.path.exists(state) or os.stat(state).st_size < 1 << 20:
        assert time.monotonic() < until, "the copy does not begin"
        time.sleep(0.005)
    act()
    thread.join(120)
    assert not thread.is_alive(), "the copy waits for ever"
    if errors:
        raise errors[0]


@pytest.mark.parametrize(
    ("command", "words", "why", "crashed"),
    [
        ("quit", (), "somebody ended it by its monitor", False),
        ("SIGTERM", (), "somebody ended its process by a signal", False),
        ("SIGKILL", (), "its QEMU was killed, or crashed", True),
        ("system_reset", ("-no-reboot",), "its QEMU ended (host-qmp-system-reset)", True),
    ],
)
def test_a_process_that_ends(command: str, words: tuple[str, ...], why: str, crashed: bool) -> None:
    with copied(*words) as (machine, other):
        pid = machine.processes[-1].pid
        act = (
            (lambda: os.kill(pid, getattr(signal, command)))
            if command.startswith("SIG")
            else (lambda: say(other, command))
        )
        with pytest.raises(EndedError) as caught:
            meanwhile(machine, act)
        assert (str(caught.value), caught.value.ending.crashed) == (why, crashed)


def test_a_guest_that_resets_is_saved_all_the_same() -> None:
    """It begins anew, and goes on from where it was saved."""
    with copied() as (machine, other):
        meanwhile(machine, lambda: reset(other))
        vm, state = machine.vm({}), str(machine.folder / "state")
        saved = machine.backend.save(vm, state)
        machine.backend.discard(vm)
        machine.backend.restore(vm, state, saved.form, True, lambda: None)
        begin, until = word(machine, TICKS), time.monotonic() + 60
        while word(machine, TICKS) <= begin:
            assert time.monotonic() < until, "the guest does not go on"
            time.sleep(0.2)


def test_a_guest_that_its_user_pauses_is_left_so() -> None:
    """Its copy is given up between two of its writes.

    QEMU 10.0.2 crashed at a cancel amid them now and then (`giving_up`); what the update does then is in
    `test_ended.py`, and here it is another guest's turn.
    """
    for _guest in range(3):
        with copied() as (machine, other):
            with pytest.raises(StandsError, match="is paused, not running: it is not saved"):
                meanwhile(machine, lambda other=other: say(other, "stop"))  # type: ignore[misc]  # bound at once
            with pytest.raises((StandsError, _qmp.QmpClosedError)) as caught:
                machine.backend.undo(machine.vm({}), str(machine.folder / "state"), stopped=False)
            if isinstance(caught.value, StandsError):
                assert "it is paused, and not by this update" in str(caught.value)
                assert machine.status() == "paused"
                return
            assert machine.processes[-1].wait(30) == -signal.SIGSEGV
    pytest.fail("three guests crashed, or went on")


def test_a_guest_whose_migration_ends_while_it_is_paused() -> None:
    """QEMU says the same of one that ran; the state differs."""
    with held() as (machine, other):
        vm, state = machine.vm({}), str(machine.folder / "state")
        with _qmp.connect(other, 60.0) as qmp:
            qmp.execute("stop")
            qmp.execute("migrate-set-parameters", **{"max-bandwidth": 10**12})
            migration.poll(qmp, 60.0)
        assert (machine.status(), run_state.stored(state)) == ("postmigrate", "paused")
        with pytest.raises(StandsError, match="VM real was paused when it was copied"):
            machine.backend.save(vm, state)
        with pytest.raises(StandsError, match="it is paused, and not by this update"):
            machine.backend.undo(vm, state, stopped=False)
        assert machine.status() == "postmigrate"
        say(other, "cont")
        assert machine.status() == "running"
