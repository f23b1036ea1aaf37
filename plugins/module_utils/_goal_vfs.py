# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wishes for single VFs, a way through 0, a new mode of the eswitch and unfinished runs add to the goal of a PF.

Most PFs have none of these, so this is imported where one has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import _eswitch, _vfids
from ._document import DEFAULT_DRIVER, PfSpec
from ._goal import Goal, goal_of
from ._presence import Presence
from ._properties import VfProperties
from ._state import PfState
from ._vf_device import NAMES, VfDevice, as_wished


def with_vfs(found: PfState, spec: PfSpec, presence: Presence, goal: Goal) -> Goal:
    """``goal``, which is that of the PF itself, with what its VFs will have."""
    drivers = {i: _driver(vf.driver) for vf in spec.vfs if vf.driver for i in map(int, vf.ids) if i in goal.present}
    kept_drivers = _kept_drivers(found, goal, drivers) if presence.cycle else {}
    kept_properties = _kept_properties(found, goal.enabled) if presence.cycle else {}
    let_go = _let_go(found, spec, presence)
    goal = replace(
        goal,
        drivers={**kept_drivers, **drivers},
        properties=_over(_properties(found, spec), kept_properties),
        notes=(*_owed_notes(found), *goal.notes, *_eswitch_notes(found, let_go)),
        devices=_devices(spec, goal.present),
        let_go=let_go,
        kept_drivers=kept_drivers,
        kept_properties=kept_properties,
    )
    rebound = _rebound(found, goal)
    goal = replace(goal, rebound=rebound, overrides={i: found.vfs[i].driver_override for i in rebound})
    return _with_owed(found, goal) if found.owed else goal


def reads(found: PfState, spec: PfSpec) -> tuple[frozenset[int], bool]:
    """What planning needs beyond the PF itself: details of which present VFs, and whether properties of VFs."""
    goal = goal_of(found, spec)
    if goal.cycle or _eswitch.change_of(found.driver, found.settings, spec.settings):
        return found.present, found.netdev is not None
    ids = frozenset(goal.drivers) | frozenset(goal.devices) | goal.probed | frozenset(goal.restored)
    ids = ids & found.present | found.present - goal.present
    return ids, bool(goal.properties) or goal.settings.mtu != found.settings.mtu


def needs_mode(found: PfState, spec: PfSpec) -> bool:
    """Whether the mode of the eswitch matters though no wish names it: for what VFs that come back can be given."""
    known = spec.settings.eswitch_mode is not None or not _eswitch.rule_of(found.driver).not_in_switchdev
    return not known and goal_of(found, spec).cycle


def device_reads(found: PfState, spec: PfSpec) -> dict[int, frozenset[str]]:
    """The present VFs of which planning needs `VfDevice`, and which of its names.

    Beside what is wished, that is what undo has to bring back: the MTU where a VF loses its interface for a moment, all
    of all VFs where they go away together.
    """
    goal = goal_of(found, spec)
    if goal.cycle:
        return dict.fromkeys(found.vfs, frozenset(NAMES))
    wished = {vf_id: frozenset(device.to_dict()) | {"mtu"} for vf_id, device in goal.devices.items()}
    changing = {i for i, driver in goal.drivers.items() if i in found.vfs and found.vfs[i].driver != driver}
    loses = changing | set(goal.rebound) | found.present - goal.present
    names = {**dict.fromkeys(sorted(loses), frozenset({"mtu"})), **wished}
    return {vf_id: some for vf_id, some in names.items() if vf_id in found.vfs}


def facts(goal: Goal, found: PfState) -> Iterator[tuple[str, Any, Any]]:
    """What is wished of VFs: the thing, what is wanted, what is found."""
    yield from _driver_facts(goal, found)
    yield from _property_facts(goal, found)
    yield from _device_facts(goal, found)


def _driver_facts(goal: Goal, found: PfState) -> Iterator[tuple[str, Any, Any]]:
    """No words about VFs that have theirs, of which there may be thousands."""
    for vf_id, driver in sorted({**goal.drivers, **goal.rebound, **goal.owed_drivers}.items()):
        vf = found.vfs.get(vf_id)
        have = vf and (vf.driver if driver else vf.driver_override)
        if have != driver:
            yield f"driver of VF {vf_id}", driver or "the default", have or (driver and "none") or "the default"
    for vf_id, override in sorted(goal.overrides.items()):
        have = found.vfs[vf_id].driver_override if vf_id in found.vfs else None
        yield f"driver_override of VF {vf_id}", override or "none", have or "none"


def _property_facts(goal: Goal, found: PfState) -> Iterator[tuple[str, Any, Any]]:
    for vf_id, wanted in sorted(goal.properties.items()):
        have = found.properties.get(vf_id, VfProperties()).to_dict()
        for name, value in wanted.to_dict().items():
            yield f"{name} of VF {vf_id}", value, have.get(name)


def _device_facts(goal: Goal, found: PfState) -> Iterator[tuple[str, Any, Any]]:
    for vf_id, device in sorted(goal.devices.items()):
        have = found.devices.get(vf_id, VfDevice())
        if device.msix_vectors is not None:
            table = as_wished(device.msix_vectors, have.msix_vectors, found.driver)
            yield f"msix_vectors of VF {vf_id}", device.msix_vectors, table
        if device.mtu is not None:
            yield f"mtu of VF {vf_id}", device.mtu, have.mtu


def _properties(found: PfState, spec: PfSpec) -> dict[int, VfProperties]:
    """By id; derived addresses are worked out as far as the PF's own address was read."""
    identity = found.link.permanent if found.link else None
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


def _kept_drivers(found: PfState, goal: Goal, wished: Collection[int]) -> dict[int, str]:
    """Drivers that VFs which come back, and that are not ``wished`` to have another, would not find by themselves."""
    from ._owed import Owed

    owed = found.owed or Owed()
    autoprobe = goal.autoprobe and (found.autoprobe if owed.autoprobe is None else owed.autoprobe)
    bound = {i: (vf.driver, vf.driver_override) for i, vf in found.vfs.items() if vf.driver}
    return {
        i: driver for i, (driver, override) in sorted({**bound, **owed.rebound}.items())
        if i in goal.present and i not in wished and (override or not autoprobe)
    }  # fmt: skip


def _kept_properties(found: PfState, enabled: int) -> dict[int, VfProperties]:
    """Properties that somebody gave to VFs that come back: disabling forgets them all."""
    lost = _eswitch.kept_by_nobody(found.driver, found.settings.eswitch_mode)
    readings = {i: p.without(lost) for i, p in found.properties.items() if i < enabled}
    return {i: given for i, reading in readings.items() if (given := reading.without_defaults())}


def _over(wished: Mapping[int, VfProperties], kept: Mapping[int, VfProperties]) -> dict[int, VfProperties]:
    """The wishes over what is kept."""
    return {i: wished.get(i, VfProperties()).over(kept.get(i, VfProperties())) for i in sorted(set(kept) | set(wished))}


def _with_owed(found: PfState, goal: Goal) -> Goal:
    """With what is owed to VFs that are present and stay, and that no wish gives a driver to."""
    from ._owed import Owed

    owed = found.owed or Owed()
    stay = frozenset() if goal.cycle else found.present & goal.present
    free = frozenset(i for i in stay if not goal.drivers.get(i))
    restored = {i: bound for i, bound in owed.rebound.items() if i in free}
    overrides = {**goal.overrides, **{vf_id: override for vf_id, (_driver, override) in restored.items()}}
    probed = owed.probed & free if goal.autoprobe else frozenset()
    return replace(goal, restored=restored, probed=probed, overrides=overrides)


def _owed_notes(found: PfState) -> Iterator[str]:
    if found.owed:
        yield (
            f"PF {found.address}: a run before this one did not come to its end; what it had taken away for a moment "
            "comes back, unless it is declared otherwise"
        )


def _rebound(found: PfState, goal: Goal) -> dict[int, str]:
    """Bound VFs that no wish gives a driver to, and that a change of the eswitch or of their vectors takes it from."""
    if goal.cycle:
        return {}
    touched = goal.let_go | frozenset(goal.new_vectors(found))
    return {
        i: vf.driver for i, vf in sorted(found.vfs.items())
        if i in touched & goal.present and vf.driver and not goal.drivers.get(i)
        and not (i in goal.drivers and vf.driver_override)
    }  # fmt: skip


def _let_go(found: PfState, spec: PfSpec, presence: Presence) -> frozenset[int]:
    change = _eswitch.change_of(found.driver, found.settings, spec.settings)
    if presence.cycle or change is None or change.vfs != _eswitch.UNBOUND:
        return frozenset()
    return frozenset(vf_id for vf_id, vf in found.vfs.items() if vf.driver) & presence.ids


def _eswitch_notes(found: PfState, let_go: frozenset[int]) -> Iterator[str]:
    """What it costs VFs that stay while the mode of the eswitch changes."""
    if let_go:
        yield (
            f"PF {found.address}: VFs {_vfids.describe(let_go)} are unbound from their drivers for a moment, as "
            f"{found.driver} asks for while eswitch_mode changes"
        )


def _driver(name: str) -> str | None:
    return None if name == DEFAULT_DRIVER else name
