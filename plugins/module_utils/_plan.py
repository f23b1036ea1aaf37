# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deciding, without touching anything: what is found + what is wanted = steps, or a refusal with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import _eswitch, _presence, _steps, _steps_device
from ._document import HostDocument, PfSpec, resolve
from ._errors import RefusedError
from ._goal import Goal, goal_of
from ._interface import STOCK
from ._plan_drivers import cleared, driver_steps, owed_steps
from ._properties import VfProperties
from ._state import PfState
from ._steps import Step
from ._support import refuse_unsupported
from ._vf_device import VfDevice
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
        facts = _facts(self.found.enabled, self.found.present, self.found.autoprobe, drivers, self._found_properties())
        have = {vf_id: self.found.devices.get(vf_id, VfDevice()) for vf_id in self.goal.devices}
        settings = {name: getattr(self.found.settings, name) for name in self.goal.settings.to_dict()}
        return _with_devices({**facts, **settings}, self.goal, have)

    def after(self) -> dict[str, Any]:
        goal = self.goal
        facts = _facts(goal.enabled, goal.present, goal.autoprobe, goal.drivers, goal.properties)
        return _with_devices({**facts, **goal.settings.to_dict()}, goal, goal.devices)

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
    """The plan for one PF and its resolved wish; `RefusedError` where VFs would go away and nobody allowed that."""
    goal = goal_of(found, spec)
    refuse_unsupported(found, goal)
    if goal.kills and not spec.allow_disruptive:
        presence = _presence.presence_of(found, spec, goal.enabled)
        raise RefusedError(_presence.refusal(found, spec, goal.enabled, presence))
    if goal.let_go and not spec.allow_disruptive:
        raise RefusedError(
            f"PF {found.address}: {found.driver} changes eswitch_mode only while its VFs are unbound, and VFs "
            f"{describe(goal.let_go)} have drivers; unbind them first, or allow unbinding and binding them again with "
            "allow_disruptive: true"
        )
    return Plan(found, spec, goal, tuple(_all_steps(found, goal)))


def without_choice(found: PfState, spec: PfSpec) -> Plan:
    """The plan for ``found`` when the PF's driver turns out not to allow absent VFs, whatever the kernel can do."""
    lesser = plan(as_stock(found), spec)
    note = f"PF {found.address}: its driver {found.driver} has not declared that it can live with absent VFs"
    return replace(lesser, goal=replace(lesser.goal, notes=(note, *lesser.goal.notes)))


def as_stock(found: PfState) -> PfState:
    return replace(found, interface=STOCK.name)


def _all_steps(found: PfState, goal: Goal) -> Iterator[Step]:
    """All of the VFs, then the MTU of those with an interface of their own: it is there once they have their driver."""
    steps = list(_vf_steps(found, goal))
    yield from steps
    new = frozenset().union(*(step.ids for step in steps if step.what == "unbind"))
    for vf_id, device in sorted(goal.devices.items()):
        renewed = goal.cycle or vf_id in new
        if device.mtu is not None and (renewed or found.devices.get(vf_id, VfDevice()).mtu != device.mtu):
            yield _steps_device.vf_mtu(found, vf_id, device.mtu, renewed=renewed)


def _vf_steps(found: PfState, goal: Goal) -> Iterator[Step]:
    """Autoprobe, enable in hardware, properties, read back, present, driver: nothing sees a VF before it is right.

    Where VFs are to get a driver while autoprobe is on, they are added with autoprobe off, so that no other driver
    takes them in between; then autoprobe goes on and the others follow. So are those whose vectors are written, and
    those that an eswitch changes below.
    """
    added = goal.present - (frozenset() if goal.cycle else found.present)
    by_enabling = _by_enabling(found, goal)
    change = _eswitch.change_of(found.driver, found.settings, goal.settings)
    late = change is not None and _eswitch.is_late(change, goal.settings) and goal.enabled > 0
    named = frozenset(vf_id for vf_id, driver in goal.drivers.items() if driver)
    vectors = goal.new_vectors(replace(found, devices={}) if goal.cycle else found)
    chosen = added & (named | frozenset(vectors) | (by_enabling if late else frozenset()))
    quiet = bool(chosen) and goal.autoprobe and by_enabling <= chosen
    during = goal.autoprobe and not quiet
    if found.autoprobe != during:
        yield _steps.autoprobe(found, found.autoprobe, during)
    current = found
    if goal.cycle:
        yield _steps.disable(found)
        current = replace(found, enabled=0, present=frozenset(), vfs={}, properties={}, devices={})
    yield from _removal(current, goal)
    yield from (_steps.unbind(current, vf_id) for vf_id in sorted(goal.let_go))
    let_go = {vf_id: replace(current.vfs[vf_id], driver=None) for vf_id in goal.let_go}
    current = replace(current, vfs={**current.vfs, **let_go})
    yield from _mode_steps(current, goal, change is not None and not late)
    yield from _mtu_steps(found, goal)
    if goal.enabled != current.enabled:
        yield _steps.enable(current, goal.enabled)
    yield from _property_steps(current, goal)
    yield from _mode_steps(current, goal, late)
    first = (added if not quiet else chosen) - by_enabling
    yield from _steps.add(current, first)
    yield from driver_steps(current, goal, fresh=added if during else frozenset(), autoprobe=during)
    if quiet:
        yield _steps.autoprobe(found, False, True)
        for vf_id in sorted(chosen - named | cleared(current, goal)):
            yield _steps.probe(current, vf_id, None)
        yield from _steps.add(current, added - by_enabling - chosen)
    yield from owed_steps(found, goal)


def _mode_steps(current: PfState, goal: Goal, now: bool) -> Iterator[Step]:
    if now:
        yield _steps_device.eswitch(current, goal.settings.eswitch_mode or "")


def _mtu_steps(found: PfState, goal: Goal) -> Iterator[Step]:
    """Before VFs are enabled: some drivers restart the PF for it."""
    mtu = goal.settings.mtu
    if mtu is not None and mtu != found.settings.mtu:
        yield _steps_device.pf_mtu(found, mtu)


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
    for vf_id, difference in missing.items():
        yield from _steps.set_properties(current, vf_id, difference)
    if missing:
        yield _steps.read_back(current, {vf_id: goal.properties[vf_id] for vf_id in missing})


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


def _with_devices(facts: dict[str, Any], goal: Goal, devices: Mapping[int, VfDevice]) -> dict[str, Any]:
    """With ``devices``, as far as the goal gives a value for them."""
    for vf_id, wanted in sorted(goal.devices.items()):
        have = {name: value for name, value in devices[vf_id].to_dict().items() if name in wanted.to_dict()}
        facts["vfs"][str(vf_id)] = {**facts["vfs"].get(str(vf_id), {}), **have}
    return facts
