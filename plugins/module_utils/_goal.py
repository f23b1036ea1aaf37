# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF will be when a wish is fulfilled as far as its kernel's interface can, and how far a reading is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import _presence, _vfids
from ._document import DEFAULT_DRIVER, PfSpec
from ._presence import presence_of
from ._properties import VfProperties
from ._state import PfState


@dataclass(frozen=True)
class Goal:
    """``drivers`` of present VFs by id (None: no override), ``properties`` of enabled ones by id.

    ``cycle``: the number enabled must go through 0, which takes the VFs ``kills`` away from whoever counts on them.
    ``notes``: where the interface gives less than was wished, and what this costs.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    drivers: Mapping[int, str | None]
    properties: Mapping[int, VfProperties]
    cycle: bool
    notes: tuple[str, ...] = ()
    kills: frozenset[int] = frozenset()


def goal_of(found: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved wish (numbers and sets, see `_document.resolve`)."""
    enabled = found.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    presence = presence_of(found, spec, enabled)
    present = presence.ids
    drivers = {i: _driver(vf.driver) for vf in spec.vfs if vf.driver for i in map(int, vf.ids) if i in present}
    properties: dict[int, VfProperties] = {}
    for vf in spec.vfs:
        for vf_id in map(int, vf.ids if vf.properties else ()):
            properties[vf_id] = vf.properties.over(properties.get(vf_id, VfProperties()))
    if presence.cycle:
        drivers = {**_kept_drivers(found, present), **drivers}
        properties = _kept(found, enabled, properties)
    notes = tuple(_presence.notes(found, spec, presence))
    autoprobe = _autoprobe(found, spec)
    return Goal(enabled, present, autoprobe, drivers, properties, presence.cycle, notes, presence.kills)


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
