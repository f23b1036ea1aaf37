# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction of a preflight for a host, and its basis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable

MOST = 10
"""VMs of a host whose outage is shown."""
NAMES = {"boot_s": "time of boot", "rate_mib_s": "disk speed"}
"""Figures of the estimate that may be rehearsed, in words."""


def of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Members of the report from what the controller has kept."""
    seconds, rests = about.get("predicted_s"), about.get("basis")
    good = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)
    known = {name: str(rests[name]) for name in NAMES if name in rests} if isinstance(rests, Mapping) else {}
    return {"predicted_s": seconds if good else None, "basis": known}


def basis(rests: object) -> str:
    """Basis of an estimate in brackets; empty where it is unknown."""
    known = rests if isinstance(rests, Mapping) else {}
    words = ", ".join(f"{text} by {known[name]}" for name, text in NAMES.items() if name in known)
    return f" ({words})" if words else ""


def of_vms(vms: object) -> list[str]:
    """Lines with the expected outage of each VM.

    At most `MOST` of them, the longest first; what is no estimate is left out.
    """
    known = [one for one in vms if _is_estimate(one)] if isinstance(vms, (list, tuple)) else []
    known.sort(key=lambda one: -max(one["without_vf_s"], one["pause_s"]))
    lines = [
        f"VM {printable(one['name'])}: about {one['pause_s']:.1f} s of standing still, {_without(one['without_vf_s'])}"
        for one in known[:MOST]
    ]
    more = len(known) - MOST
    return [*lines, f"and {more} more VMs, none of them longer"] if more > 0 else lines


def _without(seconds: float) -> str:
    return f"{seconds:.1f} s without its VFs" if seconds else "it has no VF"


def _is_estimate(one: object) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get("name"), str) and all(
        isinstance(one.get(key), (int, float)) and not isinstance(one[key], bool) and math.isfinite(one[key])
        for key in ("pause_s", "without_vf_s")
    )  # fmt: skip


def shown(host: Mapping[str, Any]) -> str:
    if host["predicted_s"] is None:
        return ""
    return f", {host['predicted_s']:g} s of outage predicted{basis(host['basis'])}"
