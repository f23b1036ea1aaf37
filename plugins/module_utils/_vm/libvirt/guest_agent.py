# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a guest's agent, through libvirt."""

from __future__ import annotations

from ..._model.errors import SriovError
from ..guest_interface import GuestInterface, parse
from .connection import Connection

NETWORKS = '{"execute": "guest-network-get-interfaces"}'


def set_clock(connection: Connection, uuid: str) -> str:
    """Set the clock of a guest that was stopped; never fails."""
    try:
        connection.tell("domtime", uuid, "--sync")
    except SriovError as error:
        return f"not set: {error}"
    return "set"


def networks(connection: Connection, uuid: str) -> list[GuestInterface]:
    """The network interfaces that the guest itself reports."""
    found = connection.ask("qemu-agent-command", uuid, NETWORKS, "the agent")
    return parse(found.get("return") if isinstance(found, dict) else None)
