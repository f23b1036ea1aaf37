# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and states of a fake QEMU."""

from __future__ import annotations

from dataclasses import dataclass, field

STATUSES = ("paused", "io-error", "guest-panicked", "internal-error", "shutdown", "suspended")
REASONS = ("guest-shutdown", "guest-reset", "guest-panic", "host-signal", "host-qmp-quit", "host-error")
"""Status of a guest, and reasons of the event SHUTDOWN (qapi/run-state.json)."""


@dataclass
class Script:
    """Faults of a QEMU, by operation.

    ``unplug`` ok/never/refused/late (``late_s`` after it was asked), ``power`` ok/ignored/stays, ``migrate``
    ok/refused/fails/stays, ``incoming`` ok/fails/exits, ``add`` ok/fails/lost, ``busy``: how often a VF's group is
    busy, ``start`` ok/exits, ``quit`` ok/ignored/lingers, ``cont`` ok/refused, ``blinks``: how often a slot's power
    indicator blinks; ``blocked``: reasons of query-migrate; ``finishing``: how often a status is finish-migrate still.
    ``copy``: what its guest does while its memory is copied, busy/hot/idle/fails, or a reason of SHUTDOWN at which its
    QEMU ends, killed, or a status in which it stands from then on.
    """

    unplug: str = "ok"
    late_s: float = 0.0
    power: str = "ignored"
    migrate: str = "ok"
    incoming: str = "ok"
    add: str = "ok"
    busy: int = 0
    start: str = "ok"
    quit: str = "ok"
    cont: str = "ok"
    blinks: int = 0
    blocked: list[str] = field(default_factory=list)
    lacks: tuple[str, ...] = ()
    copy: str = "busy"
    finishing: int = 0
    hotplugged: list[str] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)
