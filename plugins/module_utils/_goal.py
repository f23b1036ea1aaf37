# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF will be when a wish is fulfilled as far as its kernel's interface can, and how far a reading is from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import _eswitch, _presence, _vfids
from ._document import DEFAULT_DRIVER, PfSpec
from ._owed import Bound, Owed
from ._pf_settings import PfSettings
from ._presence import Presence, presence_of
from ._properties import VfProperties
from ._state import PfState
from ._vf_device import NAMES, VfDevice, as_wished


@dataclass(frozen=True)
class Goal:
    """``drivers`` of present VFs by id (None: no override), ``properties`` of enabled ones by id.

    ``cycle``: the number enabled must go through 0, which takes the VFs ``kills`` away from whoever counts on them.
    ``notes``: where the interface gives less than was wished, and what this costs. ``settings`` of the PF and
    ``devices`` of present VFs hold what is wished. ``let_go`` are bound VFs that stay and that no driver may have while
    the mode of the eswitch changes; ``rebound`` are the drivers of VFs without a wish for one that must let go of them
    for a moment, and get them back. ``kept_drivers`` and ``kept_properties`` are what no wish gives to VFs that come
    back. ``restored`` and ``probed`` are owed to VFs by a run before (`_owed.Owed`). ``overrides``: what
    driver_override is to be beside ``rebound`` and ``restored`` drivers.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    drivers: Mapping[int, str | None]
    properties: Mapping[int, VfProperties]
    cycle: bool
    notes: tuple[str, ...] = ()
    kills: frozenset[int] = frozenset()
    settings: PfSettings = field(default_factory=PfSettings)
    devices: Mapping[int, VfDevice] = field(default_factory=dict)
    let_go: frozenset[int] = frozenset()
    rebound: Mapping[int, str] = field(default_factory=dict)
    kept_drivers: Mapping[int, str] = field(default_factory=dict)
    kept_properties: Mapping[int, VfProperties] = field(default_factory=dict)
    restored: Mapping[int, Bound] = field(default_factory=dict)
    probed: frozenset[int] = frozenset()
    overrides: Mapping[int, str | None] = field(default_factory=dict)

    @property
    def owed_drivers(self) -> dict[int, str]:
        return {vf_id: driver for vf_id, (driver, _override) in self.restored.items()}

    def new_vectors(self, found: PfState) -> dict[int, int]:
        """The MSI-X vectors to write, of VFs that have another number or whose number is not known, by id."""
        wanted = {i: device.msix_vectors for i, device in self.devices.items() if device.msix_vectors is not None}
        have = {i: found.devices.get(i, VfDevice()).msix_vectors for i in wanted}
        return {i: number for i, number in wanted.items() if as_wished(number, have[i], found.driver) != number}


def goal_of(found: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved wish (numbers and sets, see `_document.resolve`)."""
    enabled = found.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    presence = presence_of(found, spec, enabled)
    present = presence.ids
    drivers = {i: _driver(vf.driver) for vf in spec.vfs if vf.driver for i in map(int, vf.ids) if i in present}
    properties = _properties(found, spec)
    kept_drivers = _kept_drivers(found, present, drivers) if presence.cycle else {}
    kept_properties = _kept_properties(found, enabled) if presence.cycle else {}
    drivers = {**kept_drivers, **drivers}
    properties = _over(properties, kept_properties)
    let_go = _let_go(found, spec, presence)
    notes = (*_owed_notes(found), *_presence.notes(found, spec, presence), *_eswitch_notes(found, let_go))
    goal = Goal(
        enabled, present, _autoprobe(found, spec), drivers, properties, presence.cycle, notes, presence.kills,
        spec.settings, _devices(spec, present), let_go, {}, kept_drivers, kept_properties,
    )  # fmt: skip
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


def shortfall(goal: Goal, found: PfState) -> list[str]:
    """What of the goal a reading does not show, each as "thing: wanted .., found ..": empty when it is reached."""
    facts: list[tuple[str, Any, Any]] = [
        ("hardware_vfs", goal.enabled, found.enabled),
        ("present_vfs", _vfids.describe(goal.present), _vfids.describe(found.present)),
        ("drivers_autoprobe", goal.autoprobe, found.autoprobe),
    ]
    facts += [(name, value, getattr(found.settings, name)) for name, value in goal.settings.to_dict().items()]
    for vf_id, driver in sorted({**goal.drivers, **goal.rebound, **goal.owed_drivers}.items()):
        vf = found.vfs.get(vf_id)
        have = vf and (vf.driver if driver else vf.driver_override)
        facts.append((f"driver of VF {vf_id}", driver or "the default", have or (driver and "none") or "the default"))
    for vf_id, override in sorted(goal.overrides.items()):
        have_override = found.vfs[vf_id].driver_override if vf_id in found.vfs else None
        facts.append((f"driver_override of VF {vf_id}", override or "none", have_override or "none"))
    for vf_id, wanted in sorted(goal.properties.items()):
        have_properties = found.properties.get(vf_id, VfProperties()).to_dict()
        facts += [(f"{k} of VF {vf_id}", v, have_properties.get(k)) for k, v in wanted.to_dict().items()]
    facts += _device_facts(goal, found)
    return [f"{thing}: wanted {wanted}, found {have}" for thing, wanted, have in facts if wanted != have]


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


def _kept_drivers(found: PfState, present: frozenset[int], wished: Collection[int]) -> dict[int, str]:
    """Drivers that VFs which come back, and that are not ``wished`` to have another, would not find by themselves."""
    owed = found.owed or Owed()
    autoprobe = found.autoprobe if owed.autoprobe is None else owed.autoprobe
    bound = {i: (vf.driver, vf.driver_override) for i, vf in found.vfs.items() if vf.driver}
    return {
        i: driver for i, (driver, override) in sorted({**bound, **owed.rebound}.items())
        if i in present and i not in wished and (override or not autoprobe)
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


def _autoprobe(found: PfState, spec: PfSpec) -> bool:
    return found.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe


def _driver(name: str) -> str | None:
    return None if name == DEFAULT_DRIVER else name
