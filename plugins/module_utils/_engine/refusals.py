# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusal to take away VFs that are in use."""

from __future__ import annotations

from .._holders.holders import read_holders
from .._model.errors import FORCE, RefusedError
from .._plan.clauses import joined
from .._plan.plan import HostPlan, Plan
from .._system.process import Run
from .._system.sysfs import Sysfs


def refuse_in_use(sysfs: Sysfs, run: Run, plan: HostPlan) -> None:
    """Refuse a plan that takes VFs in use away, unless forced.

    Raises `RefusedError` naming the holders. Reads nothing when no step takes a VF away. A VF of a domain that is only
    defined may be bound to VFIO: that is how the domain needs it.
    """
    plans = [one for one in plan.plans if one.disrupts]
    if plan.force or not plans:
        return
    holders = read_holders(sysfs, run, {one.current.address: (one.current, one.disrupts) for one in plans})
    mine = {one.current.address: one for one in plans}
    rows = [
        f"VF {vf_id} of PF {pf} by {holders[pf, vf_id]}" for pf, vf_id in sorted(holders)
        if not (holders[pf, vf_id].later and _to_vfio(mine[pf], vf_id))
    ]  # fmt: skip
    if rows:
        raise RefusedError(f"VFs are in use: {joined(rows)}; stop the user first, leave the VF as it is, or {FORCE}")


def _to_vfio(plan: Plan, vf_id: int) -> bool:
    """Whether the VF stays present with a VFIO driver."""
    driver = plan.goal.target.drivers.get(vf_id) or plan.goal.preserved.rebound.get(vf_id, ("",))[0]
    return "vfio" in driver and vf_id in plan.goal.target.present and not plan.goal.disruption.disables_all
