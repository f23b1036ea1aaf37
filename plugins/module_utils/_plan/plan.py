# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning, pure: steps from current to desired state, or a refusal.

Most PFs are as declared, so the modules of steps are imported only where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._document.document import HostDocument, PfSpec
from .._document.resolve import resolve
from .._model.errors import RefusedError
from .._model.state import PfState
from .derive import goal_of
from .goal import Goal
from .shortfall import shortfall

if TYPE_CHECKING:
    from .steps import Step


class Plan(NamedTuple):
    """The steps of one PF from ``current`` to ``goal``, or none."""

    current: PfState
    spec: PfSpec
    goal: Goal
    steps: tuple[Step, ...]

    @property
    def disrupts(self) -> frozenset[int]:
        """VFs that some step takes away from their holders."""
        return frozenset().union(*(step.disrupts for step in self.steps))


class HostPlan(NamedTuple):
    """Independent plans of the PFs of one host.

    ``force`` also allows disrupting VFs in use. ``others``: warnings of other programs that change VFs as well.
    """

    plans: tuple[Plan, ...]
    force: bool = False
    others: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return any(plan.steps for plan in self.plans)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*(note for plan in self.plans for note in plan.goal.notes), *self.others)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes that ask an operator for an action: `Goal.warnings`, for ``module.warn``."""
        return (*(note for plan in self.plans for note in plan.goal.warnings), *self.others)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for plan in self.plans for step in plan.steps)

    def summary(self, full: bool = False) -> list[dict[str, Any]]:
        """The steps for people and programs.

        Steps of many VFs are in few entries (`summary.in_few`); ``full``: only those that are alike (`steps.summary`).
        """
        if not self.changed:
            return []
        from .steps import summary

        if full:
            return summary(self.steps)
        from .summary import in_few

        return in_few(step.to_dict() for step in self.steps)

    def diff(self, full: bool = False) -> dict[str, Any]:
        """``before`` and ``after`` of the PFs that change, as Ansible shows them.

        By ranges of VFs, and only what differs; ``full``: each VF, with all that is declared.
        """
        changing = [plan for plan in self.plans if plan.steps]
        if not changing:
            return {"before": {}, "after": {}}
        from . import diff as _diff

        before = {plan.current.address: _diff.before(plan.current, plan.goal) for plan in changing}
        after = {plan.current.address: _diff.after(plan.goal) for plan in changing}
        if full:
            return {"before": before, "after": after}
        return {
            "before": {pf: _diff.in_few(before[pf], after[pf]) for pf in before},
            "after": {pf: _diff.in_few(after[pf], before[pf]) for pf in after},
        }


def plan_host(states: Mapping[str, PfState], document: HostDocument, *, force: bool = False) -> HostPlan:
    """Plans for every PF of ``document``; ``force`` is for `HostPlan`.

    Raises `BadInputError` for a document that does not fit the host, `RefusedError` with the reasons of all its PFs.
    """
    return plan_resolved(states, resolve(document, states), {}, force=force)


def plan_resolved(
    states: Mapping[str, PfState], document: HostDocument, reached: Mapping[str, Goal], *, force: bool
) -> HostPlan:
    """Plans for a resolved document; ``reached`` goals by address, see `plan`.

    Raises `RefusedError` with the reasons of all its PFs.
    """
    plans: list[Plan] = []
    refusals: list[str] = []
    for spec in document.pfs:
        try:
            plans.append(plan(states[str(spec.pf)], spec, reached.get(str(spec.pf))))
        except RefusedError as error:
            refusals.append(str(error))
    if refusals:
        raise RefusedError("; ".join(refusals))
    if any(one.steps and one.goal.target.properties for one in plans):
        from .addresses_once import refuse_shared

        refuse_shared([(one.current, one.goal) for one in plans])
    if any(one.steps and one.goal.target.devices for one in plans):
        from .names_once import refuse_shared_names

        refuse_shared_names([(one.current, one.goal) for one in plans])
    return HostPlan(tuple(plans), force)


def plan(current: PfState, spec: PfSpec, reached: Goal | None = None) -> Plan:
    """The plan for one PF and its resolved spec.

    There are steps exactly where the PF falls short of its goal, or an unfinished run has left a journal; none where a
    reading has shown that it ``reached`` the goal. Raises `RefusedError` for a disruption that the spec does not allow.
    """
    if reached is not None:
        return Plan(current, spec, reached, ())
    goal = goal_of(current, spec)
    return Plan(current, spec, goal, _steps(current, goal) if current.unfinished or shortfall(goal, current) else ())


def _steps(current: PfState, goal: Goal) -> tuple[Step, ...]:
    """Steps to the goal.

    Raises `BadInputError` for what the device does not support, `RefusedError` with the goal's refusal.
    """
    from . import order, unsupported

    unsupported.refuse_unsupported(current, goal)
    if goal.disruption.refusal:
        raise RefusedError(goal.disruption.refusal)
    return tuple(order.steps_to(current, goal))
