# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word with which an HA manager gets a host back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ABORTED, DONE, FAILED

WORDS = DONE_WORD, ABANDON = "done", "abandon"
HERE = ("restored", "resumed-here", "cold-started", "ended", "replaced")
"""Results of VMs that are here, or ended by themselves."""
ENDED_WELL = ("updated", "aborted")


def word(answer: object, collected: object, armed: Collection[str]) -> str:
    """``done`` where every VM was seen to run here, else ``abandon``.

    ``answer``: the host's status, result and unit, as asked at the end, anything else where it gave none;
    ``collected``: its last result; ``armed``: names of the VMs of its update, none where they are not known.
    """
    if isinstance(collected, Mapping) and collected.get("result") in ENDED_WELL:
        return DONE_WORD
    if not isinstance(answer, Mapping) or "status" not in answer or "run_unit" not in answer:
        return ABANDON
    phase = (answer["status"] or {}).get("phase")
    if phase is None:  # nothing was begun, or it is forgotten, which needs VMs that run
        return ABANDON if answer["run_unit"] in ("active", "activating") else DONE_WORD
    return DONE_WORD if phase in (DONE, ABORTED) or (phase == FAILED and _all_here(answer, armed)) else ABANDON


def _all_here(answer: Mapping[str, Any], armed: Collection[str]) -> bool:
    vms = (answer.get("result") or {}).get("vms") or []
    found = {vm.get("name"): vm.get("result") for vm in vms if isinstance(vm, Mapping)}
    return bool(armed) and all(found.get(name) in HERE for name in armed)
