# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live updates that have begun, which need their own program."""

from __future__ import annotations

import json

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import LIVE_UPDATE_STATUS, PROGRAM
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ARMED, FINAL, PHASES, UNKNOWN

STATUS = LIVE_UPDATE_STATUS
AT_REST = (ARMED, *FINAL)
"""Phases in which no VM is on its way."""


def phase_of(status: str | None) -> str | None:
    """The phase of an update that has begun, None without one.

    ``status``: the text of the host's status, None without one. A damaged one counts as `UNKNOWN`, as on the host.
    """
    if status is None:
        return None
    try:
        found = json.loads(status)
    except ValueError:
        return UNKNOWN
    phase = found.get("phase") if isinstance(found, dict) else UNKNOWN
    if phase in AT_REST:
        return None
    return str(phase) if phase in PHASES else UNKNOWN


def refusal(phase: str) -> str:
    """Why the program stays as it is."""
    return (
        f"{PROGRAM} is not replaced: a live update of this host has begun (phase {phase}), and VMs that it has saved "
        "come back by the program that saved them. Wait for its end (sriovctl live-update status), or bring them back "
        "(sriovctl live-update restore); then run this again"
    )
