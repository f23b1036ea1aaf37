# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF will be when a wish is fulfilled as far as its kernel's interface can, and how far a reading is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import _vfids
from ._document import DEFAULT_DRIVER, PfSpec
from ._properties import VfProperties
from ._state import PfState


@dataclass(frozen=True)
class Goal:
    """``drivers`` of present VFs by id (None: no override), ``properties`` of enabled ones by id.

    ``cycle``: the number enabled must go through 0. ``notes``: where the interface gives less than was wished.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    drivers: Mapping[int, str | None]
    properties: Mapping[int, VfProperties]
    cycle: bool
    notes: tuple[str, ...] = ()


def goal_of(found: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved wish (numbers and sets, see `_document.resolve`)."""
    enabled = found.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    wished = found.present if spec.present_vfs is None else frozenset(map(int, spec.present_vfs))
    wished &= frozenset(range(enabled))
    present = _reachable(found, wished, enabled)
    cycle = found.enabled > 0 and (enabled != found.enabled or not _can_add(found, present - found.present))
    drivers = {i: _driver(vf.driver) for vf in spec.vfs if vf.driver for i in map(int, vf.ids) if i in present}
    properties: dict[int, VfProperties] = {}
    for vf in spec.vfs:
        for vf_id in map(int, vf.ids if vf.properties else ()):
            properties[vf_id] = vf.properties.over(properties.get(vf_id, VfProperties()))
    if cycle:
        drivers = {**_kept_drivers(found, present), **drivers}
        properties = _kept(found, enabled, properties)
    notes = _notes(found, spec, wished, present)
    return Goal(enabled, present, _autoprobe(found, spec), drivers, properties, cycle, notes)


def reads(found: PfState, spec: PfSpec) -> tuple[frozenset[int], bool]:
    """What planning needs beyond the PF itself: details of which present VFs, and whether properties of VFs."""
    goal = goal_of(found, spec)
    if goal.cycle:
        return found.present, found.netdev is not None
    return frozenset(goal.drivers) & found.present | found.present - goal.present, bool(goal.properties)


def shortfall(goal: Goal, found: PfState) -> list[str]:
    """What of the goal a reading does not show, each as "thing: wanted .., found ..": empty when it is reached."""
    facts: list[tuple[str, Any, Any]] = [
        ("hardware_vfs", goal.enabled, found.enabled),
        ("present_vfs", _vfids.describe(goal.present), _vfids.describe(found.present)),
        ("drivers_autoprobe", goal.autoprobe, found.autoprobe),
    ]
    for vf_id, driver in sorted(goal.drivers.items()):
        vf = found.vfs.get(vf_id)
        have = vf and (vf.driver if driver else vf.driver_override)
        facts.append((f"driver of VF {vf_id}", driver or "the default", have or (driver and "none") or "the default"))
    for vf_id, wanted in sorted(goal.properties.items()):
        have_properties = found.properties.get(vf_id, VfProperties()).to_dict()
        facts += [(f"{k} of VF {vf_id}", v, have_properties.get(k)) for k, v in wanted.to_dict().items()]
    return [f"{thing}: wanted {wanted}, found {have}" for thing, wanted, have in facts if wanted != have]


def _reachable(found: PfState, wished: frozenset[int], enabled: int) -> frozenset[int]:
    """The present ids that come nearest to the wish, never fewer: no interface is kept from adding too many."""
    if not found.abilities.choose:
        return frozenset(range(enabled))
    stays = frozenset() if found.abilities.remove or enabled != found.enabled else found.present
    first = frozenset({0} if found.abilities.first_always and enabled else ())
    return wished | stays | (first if enabled != found.enabled else frozenset())


def _can_add(found: PfState, missing: frozenset[int]) -> bool:
    return not missing or found.abilities.choose


def _kept_drivers(found: PfState, present: frozenset[int]) -> dict[int, str | None]:
    """Drivers that VFs which come back would not find by themselves."""
    return {
        i: vf.driver for i, vf in found.vfs.items()
        if i in present and vf.driver and (vf.driver_override or not found.autoprobe)
    }  # fmt: skip


def _kept(found: PfState, enabled: int, wished: Mapping[int, VfProperties]) -> dict[int, VfProperties]:
    """Properties that somebody gave to VFs that come back, with the wishes over them: disabling forgets them all."""
    kept = {i: given for i, p in found.properties.items() if i < enabled and (given := p.without_defaults())}
    return {i: wished.get(i, VfProperties()).over(kept.get(i, VfProperties())) for i in sorted(set(kept) | set(wished))}


def _autoprobe(found: PfState, spec: PfSpec) -> bool:
    return found.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe


def _driver(name: str) -> str | None:
    return None if name == DEFAULT_DRIVER else name


def _notes(found: PfState, spec: PfSpec, wished: frozenset[int], present: frozenset[int]) -> tuple[str, ...]:
    notes = []
    extra = present - wished
    if spec.present_vfs is not None and extra:
        notes.append(
            f"PF {found.address}: the kernel's interface '{found.interface}' cannot leave VFs {_vfids.compress(extra)} "
            f"out: present are {_vfids.describe(present)} instead of {_vfids.describe(wished)}"
        )
    gaps = frozenset(range(max(present, default=-1) + 1)) - present
    if spec.present_vfs is not None and gaps:
        notes.append(
            f"PF {found.address}: VFs {_vfids.compress(gaps)} are absent below present ones: libvirt, netplan and the "
            "Kubernetes device plugin look at VFs only up to the first gap"
        )
    return tuple(notes)
