# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has reserved the host, and commands that a person can type."""

from __future__ import annotations

import sys

from .._live_update import ha_hold, kept_states, move, reservation
from .._live_update.machine import LiveHost


def lines(host: LiveHost) -> list[str]:
    """Who has reserved the host, and commands for its saved VMs.

    As they can be typed: where somebody else has reserved it, they say that they take it over.
    """
    found, left, moving = reservation.load(host.folder), kept_states.needed(host), move.unfinished(host)
    said = [*([f"  {found}"] if found else []), *ha_hold.lines(host)]
    states = kept_states.of_all(host)
    said += [f"  kept of VMs: {', '.join(f'{name} ({state})' for name, state in states.items())}"] if states else []
    said += [f"  being moved to another host: {', '.join(moving)}; {move.STAY}"] if moving else []
    more = " --take-over" if found is not None and found.keeps_out(me(), host.now()) else ""
    if left:
        said += [
            f"  saved and not running: {', '.join(left)}",
            f"  sriovctl live-update restore{more} [VM ...]  brings them back",
            f"  sriovctl live-update forget{more} --discard-memory VM  gives up the memory of one",
        ]
    return said


def me() -> str:
    """The owner that a person at this host is."""
    return f"{sys.argv[0]} on this host"
