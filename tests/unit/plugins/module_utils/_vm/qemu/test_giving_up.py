# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations that QEMU gives up, and their last moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.live_copy import LiveCopy


class Monitor:
    """Answers of query-migrate, one after the other."""

    events: tuple[Any, ...] = ()
    pid = 1

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers, self.commands = list(answers), []  # type: tuple[list[dict[str, Any]], list[str]]

    def execute(self, command: str, **_options: object) -> dict[str, Any]:
        self.commands.append(command)
        if command == "query-status":
            return {"status": "running", "running": True}
        return self.answers.pop(0) if command == "query-migrate" else {}

    @property
    def guest(self) -> Guest:
        me: Any = self
        nobody: Any = None
        vm, deadlines = SimpleNamespace(name="vm1"), SimpleNamespace(answer_s=5.0)  # type: tuple[Any, Any]
        return Guest(me, vm, nobody, deadlines, lambda _s: None)


@pytest.mark.parametrize("moment", ["cancelling", "failing"])
def test_a_migration_that_somebody_gives_up_is_awaited(moment: str) -> None:
    """QEMU refuses to continue its guest until then."""
    monitor = Monitor({"status": moment}, {"status": moment}, {"status": "cancelled"})
    monitor.guest.cancel_migration()
    assert (monitor.answers, set(monitor.commands)) == ([], {"query-migrate"})


def test_one_under_way_is_cancelled_and_awaited() -> None:
    monitor = Monitor({"status": "active"}, {"status": "cancelling"}, {"status": "cancelled"})
    monitor.guest.cancel_migration()
    assert (monitor.answers, monitor.commands[1]) == ([], "migrate_cancel")


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
