# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying a guest's memory to its file while it runs.

QEMU writes all of it, then again what the guest has written to meanwhile, pass after pass. Once little is left, or
passes do not get shorter, it is held: nearly nothing is written until the guest is stopped, with the others. QEMU
cannot be kept from ending by itself when a whole pass found nothing (migration/migration.c, migration_iteration_run).
At full speed that is an early pass of an idle guest, so while others are copied the first pass gets slower towards its
end, and the next one begins slowly. A guest that writes nothing in a tenth of a second stands still as soon as it is
copied, and so may an idle one where QEMU has no `multifd`: with its images still its own, until it is saved with the
others (`migration.WAITS`). Measured on QEMU 10.0.2 (`test_live_copy_real.py`).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..._model.deadlines import MONITOR_PAUSE_S
from ..._model.errors import SriovError
from ..._model.update_deadlines import COPY_AGAIN, LIMIT_S
from .. import state_file
from . import memory, migration, state_form
from .guest import FINISHING, STOPPED, Guest, uri
from .migration import ENDING, MIGRATING
from .run_state import require_ran

SMALL = 32 << 20
"""Bytes of a pass few enough for the pause."""
SHORTER, PASSES = 0.7, 10
"""Part of the pass before: one no shorter is the last.

So is the tenth.
"""
BRAKE, TAIL = 5, 32 << 20
"""Bytes a second for each byte left before a pass's tail.

The tail may be zero, which costs no bandwidth: the 16 MiB of a graphics card come last. A guest that has never used
the end of its memory may stand still.
"""
CREEP = {True: 40_000, False: 1 << 20}
"""Bytes a second at a pass's end: with `multifd` or not.

Less than a page in each 100 ms (BUFFER_DELAY of QEMU): a pass that begins is not ended within them. `multifd` counts
once 128 pages and more are written, so a pass ends in seconds all the same.
"""


class Pass(NamedTuple):
    """A pass over memory: its number, from 1 on, and its bytes."""

    number: int
    size: float

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Pass:
        """The pass of an answer of query-migrate; its bytes are those left."""
        ram = answer.get("ram", {})
        return cls(int(ram.get("dirty-sync-count", 0)), int(ram.get("remaining", 0)))

    def is_last(self, before: Pass, first: int) -> bool:
        """Whether more passes after it would not help.

        ``first``: the one in which the copy began, of which not all is known.
        """
        if self.number <= max(first, 1):
            return False
        longer = before.number > first and self.size > SHORTER * before.size
        return self.size <= SMALL or longer or self.number - first >= PASSES


@dataclass(frozen=True)
class LiveCopy:
    """``state``: the file; ``note``: of the migration settings before."""

    guest: Guest
    state: str
    note: str

    def under_way(self) -> bool:
        """Whether this guest's memory is being copied, or is complete.

        A migration that was undone, or that somebody else began, is no copy of ours.
        """
        if not os.path.exists(self.note) or not state_form.capabilities(self.guest.qmp).get(state_form.MAPPED):
            return False
        status = self._query().get("status")
        return status in MIGRATING or (status == "completed" and self.guest.status() in (STOPPED, FINISHING))

    def copy(self, others: Callable[[bool], bool]) -> None:
        """Copy memory until little is left, then make that durable.

        Again, when it is held already: what was written to since. Nothing where QEMU cannot do it. ``others`` as
        of `Backend.copy`.
        """
        copy_s = self.guest.deadlines.copy_s
        if not self.under_way():
            if not self._begin(others):
                return
            self._until_short(copy_s * (1 - COPY_AGAIN), others)
        elif not self._keeps_up():
            self._until_short(copy_s * COPY_AGAIN, lambda _nearly: False)
        self._limit(migration.HELD)
        state_file.flush(self.state)

    def finish(self, now: Callable[[], float]) -> float:
        """Stop the guest and write the rest, or all of it.

        ``now``: clock in seconds since the epoch; returns when it stopped.
        """
        if self.under_way():
            return self._end(now)
        state_file.create(self.state)
        migration.set_for_save(self.guest.qmp, self.note)
        stopped_at = now()
        self.guest.migrate(self.state)
        return stopped_at

    def _end(self, now: Callable[[], float]) -> float:
        """End a copy: what was written to while it was held, first."""
        self._limit(migration.FAST)
        self.guest.sleep(LIMIT_S)
        self.guest.require_running((STOPPED, FINISHING))
        ran, stopped_at = self.guest.status() == "running", now()
        if ran:
            self.guest.qmp.execute("stop")
        stood_s = max(0, int(self.guest.finish_migration().get("downtime", 0))) / 1000
        if ran:
            return stopped_at
        require_ran(self.guest.vm.name, self.state)
        return min(stopped_at, now() - stood_s, os.stat(self.state).st_mtime)

    def _begin(self, others: Callable[[bool], bool]) -> bool:
        qmp = self.guest.qmp
        form = state_form.best(qmp, os.path.dirname(self.state))
        if not form.live:
            return False
        state_file.create(self.state)
        migration.set_for_save(qmp, self.note, form)
        self._limit(SMALL if others(False) else migration.FAST)
        qmp.execute("migrate", uri=uri(self.state))
        state_file.reserve(self.state, memory.size(qmp))  # QEMU cuts what is reserved before it opens the file
        return True

    def _keeps_up(self) -> bool:
        """Whether a held copy has no more than an idle guest writes."""
        before = Pass.of(self._query())
        self.guest.sleep(3 * LIMIT_S)
        after = Pass.of(self._query())
        return after.number > before.number and after.size <= SMALL

    def _until_short(self, within_s: float, others: Callable[[bool], bool]) -> None:
        """Wait for the last pass, or for the deadline.

        Raises `SriovError` with QEMU's reason for a copy that failed.
        """
        creep = CREEP["multifd" in migration.now(self.guest.qmp).capabilities]
        until, first, seen, rate = time.monotonic() + within_s, -1, Pass(0, math.inf), -1
        while time.monotonic() < until:
            self.guest.require_running((STOPPED, FINISHING))
            answer = self._query()
            if answer.get("status") in ("completed", migration.WAITS):
                return
            if answer.get("status") not in (*MIGRATING, *ENDING):
                raise SriovError(f"copying its memory {answer.get('status')}: {answer.get('error-desc', 'no reason')}")
            now = Pass.of(answer)
            first = now.number if first < 0 else first
            if now.number != seen.number and now.is_last(seen, first):
                return
            seen = seen if now.number == seen.number else now
            slow = max(creep, BRAKE * (now.size - TAIL)) if others(now.size <= 2 * TAIL) else migration.FAST
            before, rate = rate, int(min(migration.FAST, slow))
            if rate != before:
                self._limit(rate)
            self.guest.sleep(MONITOR_PAUSE_S)

    def _query(self) -> dict[str, Any]:
        return dict(self.guest.qmp.execute("query-migrate"))

    def _limit(self, rate: int) -> None:
        """Set bytes a second; for a migration under way too."""
        self.guest.qmp.execute("migrate-set-parameters", **{"max-bandwidth": rate})
