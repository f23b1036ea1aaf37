# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wishes for single VFs, a way through 0, a new mode of the eswitch and unfinished runs add to the goal of a PF.

Most PFs have none of these, so this is imported where one has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._document.document import DEFAULT_DRIVER, PfSpec
from .._model import eswitch, vf_ids
from .._model.properties import VfProperties
from .._model.state import PfState
from .._model.vf_device import VfDevice, as_wished
from .goal import Goal
from .presence import Presence


def with_vfs(current: PfState, spec: PfSpec, presence: Presence, goal: Goal) -> Goal:
    """``goal``, which is that of the PF itself, with what its VFs will have."""
    drivers: dict[int, str | None] = {}
    for vf in spec.vfs:
        if vf.driver:
            drivers.update(dict.fromkeys(goal.present.intersection(map(int, vf.ids)), _driver(vf.driver)))
    kept_drivers: dict[int, str] = {}
    kept_properties: dict[int, VfProperties] = {}
    if presence.disables_all:
        from . import goal_kept

        kept_drivers = goal_kept.kept_drivers(current, goal, drivers)
        kept_properties = goal_kept.kept_properties(current, goal.enabled)
    released = _released(current, spec, presence)
    goal = goal._replace(
        drivers={**kept_drivers, **drivers},
        properties=_over(_properties(current, spec), kept_properties),
        notes=(*goal.notes, *_eswitch_notes(current, released)),
        devices=_devices(spec, goal.present),
        released=released,
        kept_drivers=kept_drivers,
        kept_properties=kept_properties,
    )
    rebound = _rebound(current, goal)
    goal = goal._replace(rebound=rebound, overrides={i: current.vfs[i].driver_override for i in rebound})
    if not current.unfinished:
        return goal
    from . import goal_kept

    return goal_kept.with_unfinished(current, goal)


def facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    """What is wished of VFs: the thing, what is wanted, what is found."""
    yield from _driver_facts(goal, current)
    yield from _property_facts(goal, current)
    yield from _device_facts(goal, current)


def _driver_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    """No words about VFs that have theirs, of which there may be thousands."""
    differ: dict[int, tuple[str | None, str | None]] = {}
    for vf_id, driver in {**goal.drivers, **goal.rebound, **goal.restored_drivers}.items():
        vf = current.vfs.get(vf_id)
        have = vf and (vf.driver if driver else vf.driver_override)
        if have != driver:
            differ[vf_id] = driver, have
    for vf_id, (driver, have) in sorted(differ.items()):
        yield f"driver of VF {vf_id}", driver or "the default", have or (driver and "none") or "the default"
    for vf_id, override in sorted(goal.overrides.items()):
        have = current.vfs[vf_id].driver_override if vf_id in current.vfs else None
        yield f"driver_override of VF {vf_id}", override or "none", have or "none"


def _property_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    for vf_id, wanted in sorted(goal.properties.items()):
        have = current.properties.get(vf_id, VfProperties()).to_dict()
        for name, value in wanted.to_dict().items():
            yield f"{name} of VF {vf_id}", value, have.get(name)


def _device_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    for vf_id, device in sorted(goal.devices.items()):
        have = current.devices.get(vf_id, VfDevice())
        if device.msix_vectors is not None:
            table = as_wished(device.msix_vectors, have.msix_vectors, current.driver)
            yield f"msix_vectors of VF {vf_id}", device.msix_vectors, table
        if device.mtu is not None:
            yield f"mtu of VF {vf_id}", device.mtu, have.mtu


def _properties(current: PfState, spec: PfSpec) -> dict[int, VfProperties]:
    """By id; derived addresses are worked out as far as the PF's own address was read."""
    identity = current.link.permanent if current.link else None
    properties: dict[int, VfProperties] = {}
    for vf in spec.vfs:
        for vf_id in map(int, vf.ids if vf.properties else ()):
            own = vf.properties.of_vf(vf_id, identity)
            properties[vf_id] = own.over(properties.get(vf_id, VfProperties()))
    return properties


def _devices(spec: PfSpec, present: frozenset[int]) -> dict[int, VfDevice]:
    devices: dict[int, VfDevice] = {}
    for vf in spec.vfs:
        for vf_id in present.intersection(map(int, vf.ids)) if vf.device else ():
            devices[vf_id] = vf.device.over(devices.get(vf_id, VfDevice()))
    return devices


def _over(wished: Mapping[int, VfProperties], kept: Mapping[int, VfProperties]) -> dict[int, VfProperties]:
    """The wishes over what is kept."""
    return {i: wished.get(i, VfProperties()).over(kept.get(i, VfProperties())) for i in sorted(set(kept) | set(wished))}


def _rebound(current: PfState, goal: Goal) -> dict[int, str]:
    """Bound VFs that no wish gives a driver to, and that a change of the eswitch or of their vectors takes it from."""
    if goal.disables_all:
        return {}
    touched = goal.released | frozenset(goal.new_vectors(current))
    return {
        i: vf.driver for i, vf in sorted(current.vfs.items())
        if i in touched & goal.present and vf.driver and not goal.drivers.get(i)
        and not (i in goal.drivers and vf.driver_override)
    }  # fmt: skip


def _released(current: PfState, spec: PfSpec, presence: Presence) -> frozenset[int]:
    change = eswitch.change_of(current.driver, current.settings, spec.settings)
    if presence.disables_all or change is None or change.vfs != eswitch.UNBOUND:
        return frozenset()
    return frozenset(vf_id for vf_id, vf in current.vfs.items() if vf.driver) & presence.ids


def _eswitch_notes(current: PfState, released: frozenset[int]) -> Iterator[str]:
    """What it costs VFs that stay while the mode of the eswitch changes."""
    if released:
        yield (
            f"PF {current.address}: VFs {vf_ids.describe(released)} are unbound from their drivers for a moment, as "
            f"{current.driver} asks for while eswitch_mode changes"
        )


def _driver(name: str) -> str | None:
    return None if name == DEFAULT_DRIVER else name
