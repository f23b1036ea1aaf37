# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving up a migration without losing its guest.

A QEMU that cancels one frees the bitmap of the file before it ends the threads that write it (ram_save_cleanup,
multifd_send_shutdown): a thread that has pages in hand then ends the process with SIGSEGV, and with it a guest of which
nothing is saved. Seen on QEMU 10.0.2 in ramblock_set_file_bmap_atomic, in 11 of 319 cancels at full speed. So the
migration of a guest that was stopped for it ends by itself, which costs its rest; that of a running one is held, and
cancelled between two of its writes, as nobody is stopped for that. One that waits before it releases the images writes
nothing, and is cancelled: QEMU continues its guest by itself then, unless that was stopped before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..._model.deadlines import MONITOR_PAUSE_S
from ..._model.errors import DeadlineError, SriovError
from ..._model.update_deadlines import LIMIT_S, QUIET_PAUSE_S, QUIET_S, QUIET_WITHIN_S
from . import migration
from .qmp import Message, Qmp


@dataclass(frozen=True)
class GivingUp:
    """The end of a QEMU's migration, with whatever result.

    ``answer_s``: for each of its steps.
    """

    qmp: Qmp
    answer_s: float
    sleep: Callable[[float], None]

    def run(self, stopped: bool) -> None:
        """End a migration that is under way, if any.

        ``stopped``: a guest that stands still was stopped for it. Raises `DeadlineError` when it does not end.
        """
        found = self._query()
        if found.get("status") in migration.MIGRATING and self._may_end(stopped):
            self._limit(migration.FAST)
            found = self._until_over()
        if found.get("status") in migration.MIGRATING:
            self._cancel()
        if found.get("status") in (*migration.MIGRATING, *migration.ENDING):
            self._final()

    def _may_end(self, stopped: bool) -> bool:
        """Whether its guest stands still for it."""
        status = self.qmp.execute("query-status")
        return not status["running"] and (stopped or status["status"] == "finish-migrate")

    def _until_over(self) -> Message:
        until = time.monotonic() + self.answer_s
        while (status := (found := self._query()).get("status")) in migration.MIGRATING and time.monotonic() < until:
            if status == migration.WAITS:
                break
            self.sleep(MONITOR_PAUSE_S)
        return found

    def _cancel(self) -> None:
        """Cancel it while its threads have nothing in hand."""
        self._limit(migration.HELD)
        self.sleep(LIMIT_S)
        until = time.monotonic() + QUIET_WITHIN_S
        written, since = -1, time.monotonic()
        while time.monotonic() < until and time.monotonic() - since < QUIET_S:
            now = int(self._query().get("ram", {}).get("transferred", 0))
            written, since = now, since if now == written else time.monotonic()
            self.sleep(QUIET_PAUSE_S)
        self.qmp.execute("migrate_cancel")

    def _final(self) -> None:
        try:
            migration.poll(self.qmp, self.answer_s, self.sleep)
        except DeadlineError:
            raise
        except SriovError:
            return

    def _limit(self, rate: int) -> None:
        self.qmp.execute("migrate-set-parameters", **{"max-bandwidth": rate})

    def _query(self) -> Message:
        return dict(self.qmp.execute("query-migrate"))
