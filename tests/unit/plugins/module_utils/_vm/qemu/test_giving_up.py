# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations that QEMU gives up, and their last moment."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import migration
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.giving_up import GivingUp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.live_copy import LiveCopy


class Monitor:
    """Answers of query-migrate, one after the other."""

    events: tuple[Any, ...] = ()
    pid = 1

    def __init__(self, *answers: dict[str, Any], status: str = "running") -> None:
        self.answers, self.commands = list(answers), []  # type: tuple[list[dict[str, Any]], list[str]]
        self.status, self.limits = status, []  # type: tuple[str, list[int]]

    def execute(self, command: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - of several types
        self.commands.append(command)
        self.limits += [options["max-bandwidth"]] if "max-bandwidth" in options else []
        if command == "query-status":
            return {"status": self.status, "running": self.status == "running"}
        if command == "migrate_cancel":
            self.answers = [CANCELLING, CANCELLED]
        if command == "query-migrate":
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {}

    @property
    def guest(self) -> Guest:
        me: Any = self
        nobody: Any = None
        vm, deadlines = SimpleNamespace(name="vm1"), SimpleNamespace(answer_s=5.0)  # type: tuple[Any, Any]
        return Guest(me, vm, nobody, deadlines, lambda _s: None)

    def give_up(self, stopped: bool = False) -> None:
        me: Any = self
        GivingUp(me, 0.2, time.sleep).run(stopped)


def active(remaining: int, transferred: int = 0) -> dict[str, Any]:
    return {
        "status": "active", "ram": {"dirty-sync-count": 2, "remaining": remaining, "transferred": transferred},
    }  # fmt: skip


COMPLETED, CANCELLING, CANCELLED = {"status": "completed"}, {"status": "cancelling"}, {"status": "cancelled"}


@pytest.mark.parametrize("moment", ["cancelling", "failing"])
def test_a_migration_that_somebody_gives_up_is_awaited(moment: str) -> None:
    """QEMU refuses to continue its guest until then."""
    monitor = Monitor({"status": moment}, {"status": moment}, {"status": "cancelled"})
    monitor.give_up()
    assert (monitor.answers, set(monitor.commands)) == ([CANCELLED], {"query-migrate"})


@pytest.mark.parametrize("status", ["completed", "failed", "none"])
def test_without_one_nothing_is_done(status: str) -> None:
    monitor = Monitor({"status": status})
    monitor.give_up(stopped=True)
    assert monitor.commands == ["query-migrate"]


@pytest.mark.parametrize(("status", "stopped"), [("paused", True), ("finish-migrate", False)])
def test_one_whose_guest_was_stopped_for_it_ends_by_itself(status: str, stopped: bool) -> None:
    """No thread has a page in hand then."""
    monitor = Monitor(active(5), active(3), COMPLETED, status=status)
    monitor.give_up(stopped)
    assert "migrate_cancel" not in monitor.commands
    assert (monitor.answers, monitor.limits) == ([COMPLETED], [migration.FAST])


@pytest.mark.parametrize(("status", "stopped"), [("paused", False), ("running", False), ("running", True)])
def test_another_is_held_and_cancelled_when_nothing_is_written(status: str, stopped: bool) -> None:
    """Of a guest that runs, or that others have paused."""
    writes = [active(5, number) for number in range(20)]
    monitor = Monitor(*writes, status=status)
    monitor.give_up(stopped)
    assert (monitor.limits, monitor.commands.count("migrate_cancel")) == ([migration.HELD], 1)
    before = monitor.commands[: monitor.commands.index("migrate_cancel")]
    assert before.count("query-migrate") > len(writes) + 1
    assert monitor.answers == [CANCELLED]


@pytest.mark.parametrize("stopped", [True, False])
def test_one_that_waits_for_us_is_cancelled_at_once(stopped: bool) -> None:
    """It waits for ever; QEMU continues what it has stopped."""
    monitor: Any = Monitor({"status": migration.WAITS}, status="finish-migrate")
    begun = time.monotonic()
    GivingUp(monitor, 30.0, time.sleep).run(stopped)
    assert time.monotonic() - begun < 20
    assert (monitor.answers, monitor.commands.count("migrate_cancel")) == ([CANCELLED], 1)


def test_one_that_does_not_end_in_time_is_cancelled() -> None:
    monitor = Monitor(active(5), status="paused")
    monitor.give_up(stopped=True)
    assert monitor.limits == [migration.FAST, migration.HELD]
    assert monitor.answers == [CANCELLED]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": "failed", "error-desc": "No space left on device"}, "failed: No space left on device"),
        ({"status": "cancelled"}, "cancelled: no reason"),
        ({}, "None: no reason"),
    ],
)
@pytest.mark.parametrize("moment", ["cancelling", "failing"])
def test_a_copy_ends_with_the_reason(moment: str, answer: dict[str, Any], error: str) -> None:
    monitor = Monitor({"status": moment}, answer)
    with pytest.raises(SriovError, match=f"copying its memory {error}"):
        LiveCopy(monitor.guest, "state", "note")._until_short(5.0, lambda _nearly: False)
