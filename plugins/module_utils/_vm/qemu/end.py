# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a QEMU: awaited, and why it came.

Before QEMU ends by itself it sends SHUTDOWN with a reason to whoever is connected (qapi/run-state.json); one that is
killed sends nothing. Later only its unit knows: QEMU's exit status is 0 for a guest's shutdown, and for SIGTERM.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..._model.deadlines import END_SEEN_S, UNIT_PAUSE_S
from ..._model.errors import DeadlineError, SriovError
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..ending import UNKNOWN, EndedError, Ending
from ..record import ManifestVm
from .qmp import Message, Qmp, QmpClosedError

WORDS = {
    "guest-shutdown": "it was shut down by its guest",
    "guest-reset": "its guest rebooted, at which its QEMU ends",
    "guest-panic": "its guest panicked, at which its QEMU ends",
    "host-qmp-quit": "somebody ended it by its monitor",
    "host-signal": "somebody ended its process by a signal",
    "host-ui": "somebody closed its window",
}
"""Reasons of SHUTDOWN that are somebody's will, or the guest's."""
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
"""Message of systemd for a unit that failed (sd-messages.h).

It outlives the unit, which is unloaded at once where it was started with --collect.
"""

ACTIVE = "active"
"""No result yet: systemd has not seen the end."""
KILLED = Ending("its QEMU was killed, or crashed", crashed=True)


@dataclass(frozen=True)
class End:
    """Ends of QEMUs of this host; waits of ``answer_s`` at most."""

    sysfs: Sysfs
    run: Run
    answer_s: float
    sleep: Callable[[float], None]

    def quit(self, qmp: Qmp, vm: ManifestVm) -> None:
        """End a QEMU, and wait until it is gone."""
        qmp.execute("quit")
        qmp.wait_closed(self.answer_s)
        self.wait(qmp.pid, vm)

    def wait(self, pid: int, vm: ManifestVm) -> None:
        """Wait until a QEMU is gone; raises `DeadlineError`."""
        until = time.monotonic() + self.answer_s
        while self.sysfs.link(f"/proc/{pid}/exe") is not None:
            if time.monotonic() >= until:
                raise DeadlineError(f"gave up waiting for QEMU {pid} of VM {vm.name} to exit")
            self.sleep(UNIT_PAUSE_S)

    @contextmanager
    def connected(self, vm: ManifestVm, connect: Callable[[], Qmp], pid: Callable[[str], int | None]) -> Iterator[Qmp]:
        """A monitor; its QEMU's end raises `EndedError`, before too.

        ``pid``: of the VM of a name, None once it is gone.
        """
        try:
            qmp = connect()
        except SriovError as error:
            if pid(vm.name) is not None:
                raise
            raise EndedError(self.by_unit(vm)) from error
        with qmp:
            try:
                yield qmp
            except QmpClosedError as closed:
                qmp.read_on(self.answer_s)
                self.wait(qmp.pid, vm)
                ending = by_events(qmp.events) or self._unseen(vm)
                # an exception it is, whatever pylint takes the cause of a generator's with statement for
                raise EndedError(ending) from closed  # pylint: disable=bad-exception-cause

    def by_unit(self, vm: ManifestVm) -> Ending:
        """Why a QEMU that is gone has ended, by systemd."""
        result, until = self._result(vm.unit, _began(vm)), time.monotonic() + min(END_SEEN_S, self.answer_s)
        while result == ACTIVE and time.monotonic() < until:
            self.sleep(UNIT_PAUSE_S)
            result = self._result(vm.unit, _began(vm))
        if result == "success":
            return Ending("it was shut down, or ended by somebody")
        if result in ("", ACTIVE):
            return UNKNOWN
        return Ending(f"its QEMU was killed, or crashed ({result}; see journalctl -u {vm.unit})", crashed=True)

    def _unseen(self, vm: ManifestVm) -> Ending:
        """Why a QEMU has ended that has said nothing."""
        found = self.by_unit(vm)
        return KILLED if found is UNKNOWN else found

    def _result(self, unit: str, began: float) -> str:
        """Result of a service, as in SERVICE_RESULT (systemd.exec(5)).

        Empty when nothing is known. A unit that ended well is unloaded, and systemd has said nothing of a failure.
        """
        shown = ["systemctl", "show", "--property=LoadState,ActiveState,Result", unit]
        failed = [
            "journalctl", "--quiet", "--boot", "--lines=1", "--output=cat", "--output-fields=UNIT_RESULT",
            f"--since=@{began:.0f}", f"UNIT={unit}", f"MESSAGE_ID={FAILED}",
        ]  # fmt: skip
        try:
            found = dict(line.split("=", 1) for line in self.run(shown).splitlines() if "=" in line)
            if found.get("ActiveState") in ("active", "deactivating"):
                return ACTIVE
            if found.get("LoadState", "loaded") != "not-found":
                return found.get("Result", "")[:40]
            return self.run(failed).strip()[:40] or "success"
        except SriovError:
            return ""


def _began(vm: ManifestVm) -> float:
    """When a VM was started, in seconds since the epoch."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - vm.started / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def by_events(events: Iterable[Message]) -> Ending | None:
    """Why a QEMU ended, by what it sent before; None if nothing."""
    for event in events:
        if event.get("event") == "SHUTDOWN":
            data = event.get("data")
            reason = str(data.get("reason"))[:40] if isinstance(data, dict) else "none"
            return Ending(WORDS.get(reason, f"its QEMU ended ({reason})"), reason not in WORDS)
    return None
