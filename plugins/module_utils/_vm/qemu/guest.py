# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of a QEMU, controlled through its monitor.

To save: stop and migrate (`unplug` comes before). To restore: load, plug and continue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..._model.deadlines import MONITOR_PAUSE_S
from ..._model.errors import SriovError
from .. import state_file
from ..backend import Deadlines, NeverRanError
from ..ending import EndedError, Ending, StandsError
from ..record import ManifestVm
from . import migration, run_state
from .devices import GuestDevice, vfio_devices
from .end import by_events
from .giving_up import GivingUp
from .part import QemuPart
from .qmp import Message, Qmp, QmpClosedError, QmpError
from .state_form import StateForm

STOPPED, FINISHING = "postmigrate", "finish-migrate"
"""Status of a guest whose state is complete, and a moment before."""
SHUTDOWN = Ending("it was shut down by its guest")
"""End of a guest whose QEMU stays (-no-shutdown).

One that ends says the same for a moment.
"""


@dataclass(frozen=True)
class Guest:
    """A VM of the manifest, its part, and a connected monitor."""

    qmp: Qmp
    vm: ManifestVm
    part: QemuPart
    deadlines: Deadlines
    sleep: Callable[[float], None]

    def devices(self) -> list[GuestDevice]:
        return vfio_devices(self.qmp, self.part.argv)

    def status(self) -> str:
        """Read query-status: running, paused, inmigrate, postmigrate, ... (qapi/run-state.json)."""
        return str(self.qmp.execute("query-status")["status"])

    def require_as_armed(self, devices: Sequence[GuestDevice]) -> None:
        """Require a running VM with the VFs it had while arming.

        Raises `SriovError`: a VM that changed since is not saved.
        """
        have, armed = {device.address for device in devices}, {vf.address for vf in self.vm.vfs}
        if have != armed:
            raise SriovError(
                f"VM {self.vm.name} owns VFs {sorted(have)}, armed were {sorted(armed)}: arm the update again"
            )
        self.require_running()

    def require_released(self, copied: bool = False) -> None:
        """Require a running VM without any VF.

        ``copied``: its memory is being copied, at whose end QEMU stops it. Raises `SriovError`: somebody plugged one
        again, or stopped it.
        """
        have = sorted(f"{device.address} ({device.handle})" for device in self.devices())
        if have:
            raise SriovError(f"VM {self.vm.name} has VF {', '.join(have)} although it released all: it is not saved")
        self.require_running((STOPPED, FINISHING) if copied else ())

    def require_running(self, others: Collection[str] = ()) -> None:
        """Require a guest that runs, or has a status of ``others``.

        Raises `EndedError` for one that has shut down, `StandsError` for one that somebody else, or QEMU, has stopped.
        """
        status = self.status()
        if status == "shutdown":
            raise EndedError(by_events(self.qmp.events) or SHUTDOWN)
        if status != "running" and status not in others:
            raise StandsError(f"VM {self.vm.name} is {status}, not running: it is not saved")

    def migrate(self, state: str) -> None:
        """Stop the guest and write it to the file ``state``."""
        self.qmp.execute("stop")
        self.qmp.execute("migrate", uri=uri(state))
        self.finish_migration()

    def finish_migration(self) -> Message:
        """Wait until the state of a stopped guest is complete.

        Returns the last answer of query-migrate.
        """
        answer = migration.poll(self.qmp, self.deadlines.migrate_s, self.sleep)
        status = self.settled()
        if status == "shutdown":
            raise EndedError(by_events(self.qmp.events) or SHUTDOWN)
        if status != STOPPED:
            raise SriovError(f"the migration is complete but QEMU is {status}, expected {STOPPED}")
        return answer

    def settled(self) -> str:
        """Status once the end of a migration is final.

        It says completed a moment before, and refuses to continue the guest until then (qmp_cont of QEMU).
        """
        until = time.monotonic() + self.deadlines.answer_s
        while (status := self.status()) == FINISHING and time.monotonic() < until:
            self.sleep(MONITOR_PAUSE_S)
        return status

    def power_down(self) -> None:
        """Press the power button, and wait until QEMU ends.

        One with -no-shutdown stays with status shutdown (qapi/run-state.json), and is ended.
        """
        with suppress(QmpClosedError):
            self.qmp.execute("system_powerdown")
            what = f"VM {self.vm.name} to shut down"
            self.qmp.wait_event(lambda event: event["event"] == "SHUTDOWN", what, self.deadlines.shutdown_s)
            if self.status() == "shutdown":
                self.qmp.execute("quit")
            self.qmp.wait_closed(self.deadlines.answer_s)

    def undo(
        self, state: str, before_run: Callable[[], None], may_leave: Callable[[], Collection[str]], stopped: bool
    ) -> EndedError | StandsError | None:
        """Undo what was done of a save; arguments as of `Backend.undo`.

        Returns why the guest does not go on, None when it does.
        """
        GivingUp(self.qmp, self.deadlines.answer_s, self.sleep).run(stopped)
        status = self.settled()
        if status == "shutdown":
            return EndedError(SHUTDOWN)
        if not stopped and status == STOPPED:
            status = run_state.stored(state)
        if status in ("running", STOPPED, FINISHING) or (stopped and status == "paused"):
            self.go_on(before_run, may_leave=may_leave())
            return None
        self.plug_missing(may_leave())
        return StandsError(f"it is {status}, and not by this update: it is left so")

    def load(self, state: str, form: StateForm) -> None:
        """Load the guest from the file ``state``, waiting for the end.

        A load that has begun already is not begun again. Images stay inactive until the guest runs, as in QEMU 10.0 by
        default, so that they can be compared until then.
        """
        if self.qmp.execute("query-migrate").get("status", "none") == "none":
            migration.set_for_load(self.qmp, form)
            extra = {"exit-on-error": False} if self.qmp.version >= (9, 1, 0) else {}
            self.qmp.execute("migrate-incoming", uri=uri(state), **extra)
        migration.poll(self.qmp, self.deadlines.migrate_s, self.sleep)

    def go_on(
        self,
        before_run: Callable[[], None] = lambda: None,
        *,
        loaded: bool = False,
        may_leave: Collection[str] = frozenset(),
    ) -> None:
        """Plug missing VFs and continue the guest, then verify both.

        ``loaded``: its state was loaded by this very call. ``may_leave``: VFs that the guest may release meanwhile.
        Raises `NeverRanError` when QEMU refuses to start it then.
        """
        wanted = self.plug_missing(may_leave)
        if not self.qmp.execute("query-status")["running"]:
            before_run()
            self._continue(loaded)
        status = self.qmp.execute("query-status")
        missing = wanted - {device.address for device in self.devices()}
        if not status["running"] or missing:
            lost = ", ".join(sorted(missing)) or "none"
            raise SriovError(f"VM {self.vm.name} is {status['status']}, VFs missing: {lost}")

    def plug_missing(self, may_leave: Collection[str] = frozenset()) -> set[str]:
        """Plug the VFs that the VM lacks; returns those it must have."""
        wanted = {vf.address for vf in self.vm.vfs}.difference(may_leave)
        plugged = {device.address for device in self.devices()}
        for vf in self.vm.vfs:
            if vf.address in wanted - plugged:
                self.plug(vf.address)
        return wanted

    def _continue(self, loaded: bool) -> None:
        """Continue the guest.

        One that ran before, and was stopped by an I/O error for example, never counts as one that never ran.
        """
        try:
            self.qmp.execute("cont")
        except SriovError as error:
            refused = isinstance(error, QmpError)
            if not refused or not loaded or self.qmp.execute("query-status")["running"]:
                raise
            raise NeverRanError(f"VM {self.vm.name} was not started: {error}") from error

    def plug(self, address: str) -> None:
        """Plug one VF, again while its group is busy.

        A group can be open only once (drivers/vfio/group.c): udev may have it for a moment.
        """
        until = time.monotonic() + self.deadlines.answer_s
        while True:
            try:
                self.qmp.execute("device_add", timeout=self.deadlines.start_s, **self.part.devices[address])
                return
            except QmpError as error:
                if "busy" not in error.description or time.monotonic() >= until:
                    raise
                self.sleep(MONITOR_PAUSE_S)


def uri(state: str) -> str:
    """QEMU's name of a state behind our header (docs/devel/migration/main.rst of QEMU)."""
    return f"file:{state},offset={state_file.HEADER}"
