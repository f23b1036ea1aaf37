# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a guest's agent, through libvirt."""

from __future__ import annotations

import json

from ..._model.errors import BadInputError, SriovError
from ..guest_interface import GuestInterface, parse
from .connection import Connection

LONGEST = 1 << 20
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
    answer = connection.tell("qemu-agent-command", uuid, NETWORKS)
    if len(answer) > LONGEST:
        raise BadInputError(f"the agent of domain {uuid} answers with {len(answer)} characters, more than {LONGEST}")
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the agent of domain {uuid} does not answer in JSON: {error}") from error
    return parse(found.get("return") if isinstance(found, dict) else None)
