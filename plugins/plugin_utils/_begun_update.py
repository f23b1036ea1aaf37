# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live updates that have begun, which need their own program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import (
    LIVE_UPDATE,
    LIVE_UPDATE_STATUS,
    PROGRAM,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import (
    ARMED,
    FINAL,
    MANIFEST,
    PHASES,
    UNKNOWN,
)

STATUS = LIVE_UPDATE_STATUS
AT_REST = (ARMED, *FINAL)
"""Phases in which no VM is on its way."""
MANIFEST_FILE = os.path.join(LIVE_UPDATE, MANIFEST)
CLAIM, MANIFEST_SCHEMA = 3, 7
"""Schemas that this collection's program knows.

Of `_live_update.claim` and `manifest`, which take longer to import than all else here.
"""
NEEDED = r'(?ms)\A(?=.*^ "schema": \d)(?!.*^ "state": "(?:acknowledged|unsaved|ended)")'
"""A claim's text while its state may be needed.

As `durable.write_json` writes it: members of the claim itself are one blank in.
"""
FOREIGN = rf'{NEEDED}(?!.*^ "schema": {CLAIM},?$)'
"""The text of such a claim that our program does not know."""


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


def search(text: str) -> dict[str, Any]:
    """Arguments of module ``find`` for claims whose text fits."""
    return {
        "paths": [os.path.join(LIVE_UPDATE, "vms")], "recurse": True, "depth": 2, "patterns": ["claim.json"],
        "contains": text, "read_whole_file": True, "encoding": "latin-1",
    }  # fmt: skip


def names(found: Iterable[dict[str, Any]]) -> list[str]:
    """VMs of files that ``find`` has found."""
    return sorted(os.path.basename(os.path.dirname(str(file["path"]))) for file in found)


def is_foreign(manifest: str | None) -> bool:
    """Whether a manifest's text is of another schema.

    A damaged one, or none, is no better known to the present program.
    """
    try:
        found = json.loads(manifest or "")
    except ValueError:
        return False
    schema = found.get("schema") if isinstance(found, dict) else None
    return isinstance(schema, int) and schema != MANIFEST_SCHEMA


def refusal_of_states(vms: Iterable[str]) -> str:
    """Why the program stays, where it alone can restore VMs."""
    return (
        f"{PROGRAM} is not replaced: it has saved VM {', '.join(vms)}, not seen to run since, in a form that the "
        "program of this collection does not know. Bring them back with the one that is there (sriovctl live-update "
        "restore), or give up their memory (sriovctl live-update forget --discard-memory NAME); then run this again"
    )
