# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of `_metrics`, read from a host; nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import _last_apply
from ._document import HostDocument, PfSpec
from ._engine import read_host
from ._errors import BadInputError, RefusedError
from ._info import gather
from ._metrics import Facts, PfFacts
from ._plan import Plan, plan
from ._process import Run
from ._state import PfState
from ._steps import summary
from ._sysfs import Sysfs


def collect(sysfs: Sysfs, run: Run, document: HostDocument | None, valid: bool | None) -> Facts:
    """``document`` is None when there is none, or when it cannot be understood: then ``valid`` is False."""
    plans: dict[str, Plan] = {}
    if document is not None:
        found, valid = _plans(sysfs, run, document)
        plans = {one.found.address: one for one in found}
    pfs = [_pf(row, plans.get(row["pf"])) for row in gather(sysfs, run, properties=False)]
    return Facts(tuple(pfs), valid, _last_apply.read(sysfs))


def _plans(sysfs: Sysfs, run: Run, document: HostDocument) -> tuple[list[Plan], bool]:
    """Plans for all PFs of the document, or for as many as can be planned; and whether all of it fits."""
    try:
        return _planned(sysfs, run, document), True
    except BadInputError:
        valid = False
    except RefusedError:
        valid = True
    plans: list[Plan] = []
    for spec in document.pfs:
        try:
            plans += _planned(sysfs, run, HostDocument((spec,)))
        except (BadInputError, RefusedError):
            continue
    return plans, valid


def _planned(sysfs: Sysfs, run: Run, document: HostDocument) -> list[Plan]:
    states, resolved = read_host(sysfs, run, document)
    return [_way(states[str(spec.pf)], spec) for spec in resolved.pfs]


def _way(found: PfState, spec: PfSpec) -> Plan:
    """Even when nobody may go there: the question is how far it is.

    A way through 0 that is allowed in general could be another one, so it is only taken where there is none without.
    """
    try:
        return plan(found, spec)
    except RefusedError:
        return plan(found, replace(spec, allow_disruptive=True))


def _pf(row: dict[str, Any], plan: Plan | None) -> PfFacts:
    if "blocked" in row:
        return PfFacts(row["pf"], row["netdev"], blocked=True)
    present = [vf for vf in row["vfs"] if vf["present"]]
    counts = {
        "supported": row["total_vfs"], "hardware": row["hardware_vfs"], "present": len(present),
        "bound": sum(1 for vf in present if vf["driver"]), "held": sum(1 for vf in present if "held_by" in vf),
    }  # fmt: skip
    return PfFacts(row["pf"], row["netdev"], row["driver"], row["interface"], False, {**counts, **_wishes(plan)})


def _wishes(plan: Plan | None) -> dict[str, int]:
    """What the document says of the PF; nothing about what it leaves as found."""
    if plan is None:
        return {}
    wishes = {"drift": len(summary(plan.steps))}
    if plan.spec.hardware_vfs is not None:
        wishes["hardware_wanted"] = int(plan.spec.hardware_vfs)
    if plan.spec.present_vfs is not None:
        wished = frozenset(map(int, plan.spec.present_vfs))
        wishes |= {"wanted": len(wished), "surplus": len(plan.goal.present - wished)}
    return wishes
