# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding, without touching anything: what is found + what is wanted = steps, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import _presence, _steps
from ._document import HostDocument, PfSpec, resolve
from ._errors import RefusedError
from ._goal import Goal, goal_of
from ._interface import STOCK
from ._properties import VfProperties
from ._state import PfState
from ._steps import Step
from ._vfids import describe


@dataclass(frozen=True)
class Plan:
    """The way of one PF from ``found`` to ``goal``; without steps it is there already."""

    found: PfState
    spec: PfSpec
    goal: Goal
    steps: tuple[Step, ...]

    @property
    def takes(self) -> frozenset[int]:
        """VFs that some step takes away from whoever holds them."""
        return frozenset().union(*(step.takes for step in self.steps))

    def before(self) -> dict[str, Any]:
        """What the wish is about, as found; the same keys as `after`."""
        drivers = {i: self._found_driver(i, wanted) for i, wanted in self.goal.drivers.items()}
        return _facts(self.found.enabled, self.found.present, self.found.autoprobe, drivers, self._found_properties())

    def after(self) -> dict[str, Any]:
        goal = self.goal
        return _facts(goal.enabled, goal.present, goal.autoprobe, goal.drivers, goal.properties)

    def _found_driver(self, vf_id: int, wanted: str | None) -> str | None:
        """What to compare with the wish: the bound driver, or the override where none is wanted."""
        vf = self.found.vfs.get(vf_id)
        if wanted is None:
            return vf.driver_override if vf else None
        return vf.driver or "none" if vf else "absent"

    def _found_properties(self) -> dict[int, VfProperties]:
        found = self.found.properties
        return {i: found.get(i, VfProperties()).only(wanted) for i, wanted in self.goal.properties.items()}


@dataclass(frozen=True)
class HostPlan:
    """Plans of the PFs of one host, independent of each other. ``force`` also allows taking held VFs away."""

    plans: tuple[Plan, ...]
    force: bool = False

    @property
    def changed(self) -> bool:
        return any(plan.steps for plan in self.plans)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(note for plan in self.plans for note in plan.goal.notes)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for plan in self.plans for step in plan.steps)

    def diff(self) -> dict[str, Any]:
        """``before`` and ``after`` of the PFs that change, as Ansible shows them."""
        changing = [plan for plan in self.plans if plan.steps]
        return {
            "before": {plan.found.address: plan.before() for plan in changing},
            "after": {plan.found.address: plan.after() for plan in changing},
        }


def plan_host(states: Mapping[str, PfState], document: HostDocument, *, force: bool = False) -> HostPlan:
    """Plans for every PF of ``document``, which may be resolved already; ``force`` is for `HostPlan`.

    Raises `BadInputError` for a document that does not fit the host, `RefusedError` with the reasons of all its PFs.
    """
    plans: list[Plan] = []
    refusals: list[str] = []
    for spec in resolve(document, states).pfs:
        try:
            plans.append(plan(states[str(spec.pf)], spec))
        except RefusedError as error:
            refusals.append(str(error))
    if refusals:
        raise RefusedError("; ".join(refusals))
    return HostPlan(tuple(plans), force)


def plan(found: PfState, spec: PfSpec) -> Plan:
    """The plan for one PF and its resolved wish; `RefusedError` where it would kill VFs and nobody has allowed that."""
    goal = goal_of(found, spec)
    if goal.kills and not spec.allow_disruptive:
        presence = _presence.presence_of(found, spec, goal.enabled)
        raise RefusedError(_presence.refusal(found, goal.enabled, presence))
    return Plan(found, spec, goal, tuple(_all_steps(found, goal)))


def without_choice(found: PfState, spec: PfSpec) -> Plan:
    """The plan for ``found`` when the PF's driver turns out not to allow absent VFs, whatever the kernel can do."""
    lesser = plan(as_stock(found), spec)
    note = f"PF {found.address}: its driver {found.driver} has not declared that it can live with absent VFs"
    return replace(lesser, goal=replace(lesser.goal, notes=(note, *lesser.goal.notes)))


def as_stock(found: PfState) -> PfState:
    return replace(found, interface=STOCK.name)


def _all_steps(found: PfState, goal: Goal) -> Iterator[Step]:
    """Autoprobe, enable in hardware, properties, read back, present, driver: nothing sees a VF before it is right.

    Where VFs are to get a driver while autoprobe is on, they are added with autoprobe off, so that no other driver
    takes them in between; then autoprobe goes on and the others follow.
    """
    added = goal.present - (frozenset() if goal.cycle else found.present)
    by_enabling = _by_enabling(found, goal)
    chosen = added & frozenset(vf_id for vf_id, driver in goal.drivers.items() if driver)
    quiet = bool(chosen) and goal.autoprobe and by_enabling <= chosen
    during = goal.autoprobe and not quiet
    if found.autoprobe != during:
        yield _steps.autoprobe(found, found.autoprobe, during)
    current = found
    if goal.cycle:
        yield _steps.disable(found)
        current = replace(found, enabled=0, present=frozenset(), vfs={}, properties={})
    yield from _removal(current, goal)
    if goal.enabled != current.enabled:
        yield _steps.enable(current, goal.enabled)
    yield from _property_steps(current, goal)
    first = (added if not quiet else chosen) - by_enabling
    yield from _steps.add(current, first)
    yield from _driver_steps(current, goal, fresh=added if during else frozenset())
    if quiet:
        yield _steps.autoprobe(found, False, True)
        yield from _steps.add(current, added - by_enabling - chosen)


def _by_enabling(found: PfState, goal: Goal) -> frozenset[int]:
    """The VFs that enabling itself adds."""
    if goal.enabled == 0 or (found.enabled and not goal.cycle):
        return frozenset()
    if not found.abilities.enable_only:
        return goal.present
    return frozenset({0}) if found.abilities.first_always else frozenset()


def _removal(current: PfState, goal: Goal) -> Iterator[Step]:
    gone = current.present - goal.present
    for vf_id in sorted(gone):
        if (vf := current.vfs.get(vf_id)) and vf.driver:
            yield _steps.unbind(current, vf_id)
    if gone:
        yield from _steps.remove(current, gone)


def _property_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Only differences are written; then all that is wished of the VFs touched is read back."""
    missing = {
        vf_id: difference
        for vf_id, wanted in sorted(goal.properties.items())
        if (difference := wanted.missing_in(current.properties.get(vf_id, VfProperties())))
    }
    netdev = current.netdev or ""
    for vf_id, difference in missing.items():
        yield _steps.set_properties(current, netdev, vf_id, difference)
    if missing:
        yield _steps.read_back(current, netdev, {vf_id: goal.properties[vf_id] for vf_id in missing})


def _driver_steps(current: PfState, goal: Goal, fresh: frozenset[int]) -> Iterator[Step]:
    """Override, unbind, bind, kind by kind; ``fresh`` VFs were added with autoprobe on: some driver may have them."""
    named = {i: d for i, d in goal.drivers.items() if d and d != _driver_of(current, i)}
    cleared = [i for i, d in goal.drivers.items() if d is None and (vf := current.vfs.get(i)) and vf.driver_override]
    for driver in sorted(set(named.values()) - current.bus_drivers):
        yield _steps.load_driver(current, driver)
    changing = sorted({**named, **dict.fromkeys(cleared)})
    for vf_id in changing:
        vf = current.vfs.get(vf_id)
        if (vf.driver_override if vf else None) != named.get(vf_id):
            yield _steps.override(current, vf_id, named.get(vf_id))
    for vf_id in changing:
        if _driver_of(current, vf_id) or vf_id in fresh:
            yield _steps.unbind(current, vf_id)
    for vf_id in changing:
        if vf_id in named or goal.autoprobe:
            yield _steps.probe(current, vf_id, named.get(vf_id))


def _driver_of(pf: PfState, vf_id: int) -> str | None:
    vf = pf.vfs.get(vf_id)
    return vf.driver if vf else None


def _facts(
    enabled: int,
    present: frozenset[int],
    autoprobe: bool,
    drivers: Mapping[int, str | None],
    properties: Mapping[int, VfProperties],
) -> dict[str, Any]:
    vfs: dict[str, Any] = {}
    for vf_id in sorted(set(drivers) | set(properties)):
        driver = {"driver": drivers[vf_id] or "default"} if vf_id in drivers else {}
        vfs[str(vf_id)] = {**driver, **properties.get(vf_id, VfProperties()).to_dict()}
    return {"hardware_vfs": enabled, "present_vfs": describe(present), "drivers_autoprobe": autoprobe, "vfs": vfs}
