# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outage of one VM, its parts, and whether it is over.

It lasts from the request for its VFs (of its stop, where it has none) until they were seen to work again. A QEMU that
says ``running`` shows nothing of that, nor does a console; the largest gap in the guest's own log can only make it
longer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

RUNS = ("restored", "resumed-here")
"""Results of VMs that run with the memory that they had."""
WENT_ON, ANEW = "went on", "was started anew"
NOT_SEEN, NOT_CHECKED, SILENT = "resumed, VF not seen", "resumed, VF not checked", "resumed, has no VF and no heartbeat"
ANSWER = "guest until its VF answers"
UNEXPLAINED = "unexplained"
LEAST_S = 0.001
"""Seconds of a part below which it is not worth a word."""


def of(vm: Mapping[str, Any], phases: Sequence[Mapping[str, Any]], gap_s: float | None) -> dict[str, Any]:
    """Figures of a VM's outage, in seconds.

    ``phases``: of its host; ``gap_s``: the largest gap between the guest's heartbeats, from the last before its pause
    on. ``outage_s`` is None without a pause; it ``is_over`` when that was seen, and is at least as long otherwise.
    ``pause_s``: from the stop of the guest to its return. ``parts`` add up to ``outage_s``.
    """
    start, back, seen = vm["paused_at"], vm["resumed_at"], vm.get("seen_at")
    end = seen if seen is not None else back
    if start is None or end is None:
        return {"outage_s": gap_s, "is_over": False, "pause_s": None, "parts": []}
    total = max(end - start, gap_s or 0.0, 0.0)
    over = seen is not None or (not vm["vfs"] and not vm.get("seen_by") and gap_s is not None)
    stopped = vm.get("stopped_at")
    return {
        "outage_s": round(total, 6),
        "is_over": over,
        "pause_s": None if stopped is None or back is None else round(max(0.0, back - stopped), 6),
        "parts": list(_parts(start, back, seen, phases, total)),
    }


def _parts(
    start: float, back: float | None, seen: float | None, phases: Sequence[Mapping[str, Any]], total: float
) -> Iterator[dict[str, Any]]:
    """Parts of an outage.

    By the host's phases until the VM runs, then by the guest.
    """
    runs = min(one for one in (back, seen) if one is not None)
    found = [
        (str(phase["name"]), min(phase["end"], runs) - max(phase["start"], start))
        for phase in phases
        if phase["end"] is not None
    ]
    if seen is not None and back is not None:
        found.append((ANSWER, seen - back))
    found = [(name, seconds) for name, seconds in found if seconds >= LEAST_S]
    rest = total - sum(seconds for _name, seconds in found)
    for name, seconds in [*found, *([(UNEXPLAINED, rest)] if abs(rest) >= LEAST_S else [])]:
        yield {"name": name, "s": round(seconds, 6)}


def state(vm: Mapping[str, Any]) -> str:
    """State of a VM of the report after the update, in words.

    It ``went on`` only when that was seen: through its VFs, or, without any, by its heartbeats.
    """
    before, after = vm["boot_id_before"], vm["boot_id_after"]
    if vm["result"] == "cold-started" or (before is not None and after is not None and before != after):
        return ANEW
    if vm["result"] not in RUNS:
        return f"is {vm['result']}" if vm["result"] else "is unknown"
    if vm["seen_by"] is not None:
        return NOT_SEEN if vm["seen_at"] is None else WENT_ON
    if vm["vfs"]:
        return NOT_CHECKED
    return WENT_ON if before is not None and after is not None else SILENT


def went_on(vm: Mapping[str, Any]) -> bool:
    return bool(vm["state"] == WENT_ON)


def shown(vm: Mapping[str, Any]) -> str:
    """The outage as text, a lower bound where it may last."""
    if vm["outage_s"] is None:
        return "unknown"
    return f"{'' if vm['is_over'] else 'at least '}{vm['outage_s']:.2f} s"


def summary(vms: Iterable[Mapping[str, Any]]) -> str:
    """Number of VMs that were seen to go on, and the others."""
    found = list(vms)
    others = Counter(vm["state"] for vm in found if not went_on(vm))
    more = "".join(f"; {number} {words}" for words, number in others.items())
    return f"{sum(map(went_on, found))} of {len(found)} VMs went on where they were{more}"
