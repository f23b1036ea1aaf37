# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of `_metrics`, read from a host; nothing is changed."""

from __future__ import annotations

from typing import Any

from .._document.document import HostDocument
from .._engine import last_apply
from .._model.vf_ids import MAX_VFS, parse
from .._plan.plan import Plan
from .._system.process import Run
from .._system.read_once import ReadOnce, once
from .._system.sysfs import Sysfs
from . import drift as _drift
from .drift import Drift
from .info import SUMMARY, gather
from .metrics import Facts, PfFacts


def collect(sysfs: Sysfs, run: Run, document: HostDocument | None, valid: bool | None) -> Facts:
    """``document`` is None when there is none, or when it cannot be understood: then ``valid`` is False."""
    files, ask = ReadOnce(sysfs), once(run)
    drift = Drift()
    if document is not None:
        drift = _drift.read(files, ask, document)
        valid = not drift.problems
    pfs = [_pf(row, drift) for row in gather(files, ask, properties=False, vfs=SUMMARY)]
    return Facts(tuple(pfs), valid, last_apply.read(sysfs), _notes(drift))


def _pf(row: dict[str, Any], drift: Drift) -> PfFacts:
    if "blocked" in row:
        return PfFacts(row["pf"], row["netdev"], row["driver"], blocked=True)
    present = parse(row["present_vfs"], MAX_VFS)
    counts = {
        "supported": row["total_vfs"], "hardware": row["hardware_vfs"], "present": len(present),
        "bound": sum(row["vf_drivers"].values()), "held": len(parse(row["held_vfs"], MAX_VFS)),
        **_wishes(row["pf"], drift),
    }  # fmt: skip
    unknown = row["pf"] not in drift.plans if row["pf"] in drift.declared else None
    return PfFacts(row["pf"], row["netdev"], row["driver"], row["interface"], False, counts, unknown)


def _wishes(address: str, drift: Drift) -> dict[str, int]:
    """What the document says of the PF; nothing about what it leaves as found."""
    plan, steps = drift.plans.get(address), drift.steps(address)
    if plan is None or steps is None:
        return {}
    return {"drift": steps, **_numbers(plan)}


def _numbers(plan: Plan) -> dict[str, int]:
    wishes = {}
    if plan.spec.hardware_vfs is not None:
        wishes["hardware_wanted"] = int(plan.spec.hardware_vfs)
    if plan.spec.present_vfs is not None:
        wished = frozenset(map(int, plan.spec.present_vfs))
        wishes |= {"wanted": len(wished), "surplus": len(plan.goal.present - wished)}
    return wishes


def _notes(drift: Drift) -> tuple[str, ...]:
    return (*drift.problems, *(f"PF {address}: {text}" for address, text in drift.unread.items()))
