# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of `metrics`, read from a host."""

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
    """Read the host.

    ``document`` is None without one, and where it is not ``valid``.
    """
    files, ask = ReadOnce(sysfs), once(run)
    drift = Drift()
    if document is not None:
        drift = _drift.read(files, ask, document)
        valid = not drift.problems
    rows = gather(files, ask, properties=False, vfs=SUMMARY)
    unread = tuple(f"PF {row['pf']}: {row['unreadable']}" for row in rows if "unreadable" in row)
    notes = (*unread, *(note for note in _notes(drift) if note not in unread))
    return Facts(tuple(_pf(row, drift) for row in rows), valid, last_apply.read(sysfs), notes)


def _pf(row: dict[str, Any], drift: Drift) -> PfFacts:
    if "blocked" in row:
        return PfFacts(row["pf"], row["netdev"], row["driver"], blocked=True)
    if "unreadable" in row:
        return PfFacts(row["pf"], row["netdev"], row["driver"], unknown=row["pf"] in drift.declared or None)
    present = parse(row["present_vfs"], MAX_VFS)
    counts = {
        "supported": row["total_vfs"], "hardware": row["hardware_vfs"], "present": len(present),
        "bound": sum(row["vf_drivers"].values()), "held": len(parse(row["held_vfs"], MAX_VFS)),
        **_declared(row["pf"], drift),
    }  # fmt: skip
    unknown = row["pf"] not in drift.plans if row["pf"] in drift.declared else None
    return PfFacts(row["pf"], row["netdev"], row["driver"], row["interface"], False, counts, unknown)


def _declared(address: str, drift: Drift) -> dict[str, int]:
    """Numbers that the document declares for the PF, if any."""
    plan, steps = drift.plans.get(address), drift.steps(address)
    if plan is None or steps is None:
        return {}
    return {"drift": steps, **_numbers(plan)}


def _numbers(plan: Plan) -> dict[str, int]:
    numbers = {}
    if plan.spec.hardware_vfs is not None:
        numbers["hardware_wanted"] = int(plan.spec.hardware_vfs)
    if plan.spec.present_vfs is not None:
        wanted = frozenset(map(int, plan.spec.present_vfs))
        numbers |= {"wanted": len(wanted), "surplus": len(plan.goal.target.present - wanted)}
    return numbers


def _notes(drift: Drift) -> tuple[str, ...]:
    return (*drift.problems, *(f"PF {address}: {text}" for address, text in drift.unread.items()))
