# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a plan that gives present VFs their drivers: override, unbind, MSI-X vectors, bind, kind by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .._model.state import PfState
from .._model.vf_device import VfDevice
from . import device_steps, steps
from .goal import Goal
from .steps import Step


def cleared(current: PfState, goal: Goal) -> frozenset[int]:
    """VFs that lose their override, so that the kernel chooses their driver."""
    found = frozenset(i for i, vf in current.vfs.items() if vf.driver_override)
    return found & frozenset(i for i, driver in goal.drivers.items() if driver is None)


def driver_steps(current: PfState, goal: Goal, autoprobe: bool) -> Iterator[Step]:
    """``current``: the PF when these begin. VFs that it does not know were added with autoprobe off: nobody has them.

    Without ``autoprobe`` the kernel makes no choice: VFs that are `cleared` are left unbound.

    VFs that only let go of their driver for a moment have it as override meanwhile, so that no other takes them. An
    override is cleared after unbinding: as long as it is there, a run that is killed has left something to do.
    """
    vectors = goal.new_vectors(current)
    named = {i: d for i, d in goal.drivers.items() if d and (d != driver_of(current, i) or i in vectors)}
    yield from (steps.load_driver(current, d) for d in sorted(set(named.values()) - current.bus_drivers))
    changing = sorted({*named, *cleared(current, goal)})
    back = {vf_id: goal.rebound[vf_id] for vf_id in sorted(goal.rebound)}
    overrides = {**{vf_id: named.get(vf_id) for vf_id in changing}, **back}
    differing = [vf_id for vf_id, driver in overrides.items() if _override_of(current, vf_id) != driver]
    yield from (steps.override(current, vf_id, driver) for vf_id in differing if (driver := overrides[vf_id]))
    yield from (steps.unbind(current, vf_id) for vf_id in overrides if driver_of(current, vf_id))
    yield from (steps.override(current, vf_id, None) for vf_id in differing if not overrides[vf_id])
    yield from _vector_steps(current, goal, vectors)
    probed = [vf_id for vf_id in changing if vf_id in named or autoprobe]
    for vf_id in [*probed, *back]:
        yield steps.probe(current, vf_id, named.get(vf_id) or back.get(vf_id))
    for vf_id in [vf_id for vf_id in differing if vf_id in back]:
        yield steps.change_override(current, vf_id, back[vf_id], _override_of(current, vf_id))


def restore_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """After `driver_steps`: drivers that a run before has not brought back to VFs that stay, and their overrides."""
    for vf_id, (driver, override) in sorted(goal.restored.items()):
        have = _override_of(current, vf_id)
        if not driver_of(current, vf_id):
            if have != driver:
                yield steps.change_override(current, vf_id, have, driver)
            have = driver
            yield steps.probe(current, vf_id, driver)
        if have != override:
            yield steps.change_override(current, vf_id, have, override)
    for vf_id in sorted(goal.probed - cleared(current, goal)):
        if not driver_of(current, vf_id):
            yield steps.probe(current, vf_id, None)


def _vector_steps(current: PfState, goal: Goal, vectors: Mapping[int, int]) -> Iterator[Step]:
    """VFs that give vectors back come first: all VFs of a PF take them from one pool."""

    def more(vf_id: int) -> tuple[int, int]:
        have = current.devices.get(vf_id, VfDevice()).msix_vectors
        return (0 if have is None else vectors[vf_id] - have, vf_id)

    for vf_id in sorted(vectors, key=more):
        fresh = goal.disables_all or current.enabled == 0
        yield device_steps.vf_msix(current, vf_id, vectors[vf_id], fresh=fresh)


def _override_of(pf: PfState, vf_id: int) -> str | None:
    vf = pf.vfs.get(vf_id)
    return vf.driver_override if vf else None


def driver_of(pf: PfState, vf_id: int) -> str | None:
    vf = pf.vfs.get(vf_id)
    return vf.driver if vf else None
