# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit of a copy, which is set only where it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.live_copy import BRAKE, CREEP, TAIL, LiveCopy
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.migration import FAST

MIB = 1 << 20


class Copied:
    """A guest, and its monitor, while passes of these sizes are written."""

    def __init__(self, passes: Sequence[tuple[int, int]]) -> None:
        self.qmp, self.limits = self, [0]
        self._answers: Iterator[dict[str, Any]] = iter(
            {"status": "active", "ram": {"dirty-sync-count": number, "remaining": left}} for number, left in passes
        )

    def execute(self, command: str, **arguments: int) -> object:
        if command == "migrate-set-parameters":
            self.limits.append(arguments["max-bandwidth"])
        if command == "query-migrate":
            return next(self._answers, {"status": "completed"})
        return [] if command == "query-migrate-capabilities" else {}

    def require_running(self, _others: object) -> None:
        """It always does."""

    def sleep(self, _seconds: float) -> None:
        """No time passes."""

    pid = 7


@pytest.mark.parametrize(
    ("slow", "left", "wanted"),
    [
        (False, [300] * 20, [FAST]),
        (True, [300] * 20, [BRAKE * (300 * MIB - TAIL)]),
        (True, [300] * 5 + [200] * 5 + [8] * 5, [BRAKE * (300 * MIB - TAIL), BRAKE * (200 * MIB - TAIL), CREEP[False]]),
    ],
)
def test_a_limit_is_set_where_it_changes(slow: bool, left: list[int], wanted: list[int]) -> None:
    """Not at each look, of which there are many a second."""
    guest = Copied([(1, one * MIB) for one in left])
    copy = LiveCopy(cast(Guest, guest), "state", "note")
    copy._until_short(60.0, lambda _nearly: slow)
    assert guest.limits[1:] == wanted
