# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VFs' part of a goal: declared, preserved and restored values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from .._document.document import DEFAULT_DRIVER, PfSpec
from .._model import drivers, eswitch
from .._model.errors import ALLOW_DISRUPTIVE
from .._model.properties import VfProperties
from .._model.settings import DOWN
from .._model.state import OPT_OUT, UNBOUND, PfState
from .._model.values import cut, printable
from .._model.vf_device import VfDevice
from .._model.vf_ids import describe
from .goal import Goal, Preserved, Restored, new_vectors

if TYPE_CHECKING:
    from .._model.journal_entry import Bound, JournalEntry


_LEFT_UP = (
    "that run had set the network interface up for a moment, and it stays so, as others may use it by now: set it down "
    "with 'ip link set', unless something needs it"
)
_NO_DEVICE = VfDevice()


def with_vfs(current: PfState, spec: PfSpec, goal: Goal) -> Goal:
    """The PF's ``goal``, completed with the targets of its VFs."""
    declared: dict[int, str | None] = {}
    for vf in spec.vfs:
        if vf.driver:
            declared.update(dict.fromkeys(goal.target.present.intersection(map(int, vf.ids)), _driver(vf.driver)))
    preserved = Preserved()
    if goal.disruption.disables_all:
        properties, notes = _settable(current.address, _kept_properties(current, goal.target.enabled))
        preserved = Preserved(_kept_drivers(current, goal, declared), properties)
        goal = goal._replace(notes=(*goal.notes, *notes))
    goal = goal._replace(
        target=goal.target._replace(
            drivers={**preserved.drivers, **declared},
            properties=_over(_properties(current, spec), preserved.properties),
            devices=_devices(spec, goal.target.present),
        ),
        preserved=preserved,
    )
    goal = _with_released(current, spec, goal)
    goal = goal._replace(preserved=preserved._replace(rebound=rebound(current, goal)))
    return _with_unfinished(current, current.unfinished, goal) if current.unfinished else goal


def rebound(current: PfState, goal: Goal) -> dict[int, Bound]:
    """Drivers to bind again after the plan unbinds their VFs, by id.

    Those of bound VFs whose driver no spec declares, and that a change of the eswitch or of their MSI-X vectors
    unbinds.
    """
    declared = goal.target.drivers
    if goal.disruption.disables_all or not current.vfs:
        return {}
    touched = goal.disruption.released | frozenset(new_vectors(current, goal.target.devices))
    return {
        i: (vf.driver, vf.driver_override) for i, vf in sorted(current.vfs.items())
        if i in touched & goal.target.present and vf.driver and not declared.get(i)
        and not (i in declared and vf.driver_override)
    }  # fmt: skip


def released(current: PfState, spec: PfSpec, goal: Goal) -> frozenset[int]:
    """Bound VFs that stay and must be unbound while eswitch_mode changes.

    None where the mode stays, or where the rule of the PF's driver is not `drivers.UNBOUND`.
    """
    if goal.disruption.disables_all or not current.vfs:
        return frozenset()
    change = eswitch.change_of(current.driver, current.settings, spec.settings)
    if change is None or change.vfs != drivers.UNBOUND:
        return frozenset()
    return frozenset(vf_id for vf_id, vf in current.vfs.items() if vf.driver) & goal.target.present


def _with_released(current: PfState, spec: PfSpec, goal: Goal) -> Goal:
    """The goal with the VFs to release, and a note or refusal."""
    ids = released(current, spec, goal)
    if not ids:
        return goal
    refusal = goal.disruption.refusal
    if not spec.allow_disruptive and not refusal:
        refusal = (
            f"PF {current.address}: {current.driver} changes eswitch_mode only while its VFs are unbound, and VFs "
            f"{describe(ids)} have drivers; unbind them first, or allow unbinding and binding them again with "
            f"{ALLOW_DISRUPTIVE}"
        )
    note = (
        f"PF {current.address}: VFs {describe(ids)} are unbound from their drivers for a moment, as {current.driver} "
        "asks for while eswitch_mode changes"
    )
    disruption = goal.disruption._replace(released=ids, refusal=refusal)
    return goal._replace(disruption=disruption, notes=(*goal.notes, note))


def _kept_drivers(current: PfState, goal: Goal, declared: Collection[int]) -> dict[int, str]:
    """Drivers of returning VFs that the kernel would not choose again.

    Those with a driver_override, or all where autoprobe is off, and `UNBOUND` of those that have opted out; VFs with a
    ``declared`` driver are left out.
    """
    unfinished, before = current.unfinished, current.autoprobe
    if unfinished and unfinished.autoprobe is not None:
        before = unfinished.autoprobe
    autoprobe = goal.target.autoprobe and before
    bound = {i: (vf.driver, vf.driver_override) for i, vf in current.vfs.items() if vf.driver}
    freed = {i: (UNBOUND, OPT_OUT) for i, vf in current.vfs.items() if not vf.driver and vf.driver_override == OPT_OUT}
    back = {**bound, **freed, **(unfinished.rebound if unfinished else {})}
    return {
        i: driver for i, (driver, override) in sorted(back.items())
        if i in goal.target.present and i not in declared and (override or not autoprobe)
    }  # fmt: skip


def _kept_properties(current: PfState, enabled: int) -> dict[int, VfProperties]:
    """Non-default properties of returning VFs, which disabling forgets."""
    lost = eswitch.kept_by_nobody(current.driver, current.settings.eswitch_mode)
    readings = {i: p.without(lost) for i, p in current.properties.items() if i < enabled}
    return {i: given for i, reading in readings.items() if (given := reading.without_defaults())}


def _settable(pf: str, kept: Mapping[int, VfProperties]) -> tuple[dict[int, VfProperties], list[str]]:
    """The ``kept`` properties that can be set, and notes of others.

    No driver takes it, and one that refuses would end the change.
    """
    if not kept:
        return {}, []
    from .._model.possible import impossible
    from .._model.property_table import VF_PROPERTIES

    without = {i: impossible(VF_PROPERTIES, given.to_dict()) for i, given in kept.items()}
    odd: dict[tuple[str, str], list[int]] = {}
    for vf_id, values in without.items():
        for name, value in values.items():
            odd.setdefault((name, cut(printable(str(value)))), []).append(vf_id)
    notes = [
        f"PF {pf}: {name} of VFs {describe(ids)} is {value}, which no VF can be given; it is not set again"
        for (name, value), ids in odd.items()
    ]
    left = {i: given.without(without[i]) for i, given in kept.items()}
    return {i: given for i, given in left.items() if given}, notes


def _with_unfinished(current: PfState, unfinished: JournalEntry, goal: Goal) -> Goal:
    """The goal with restored drivers of an unfinished run, and a warning.

    Only VFs that stay, and that no spec gives a driver to.
    """
    note = (
        f"PF {current.address}: a run before this one did not come to its end; what it had taken away for a moment "
        "comes back, unless it is declared otherwise"
    )
    stay = frozenset() if goal.disruption.disables_all else current.present & goal.target.present
    free = frozenset(i for i in stay if not goal.target.drivers.get(i))
    back = {i: bound for i, bound in unfinished.rebound.items() if i in free}
    probed = unfinished.probed & free if goal.target.autoprobe else frozenset()
    is_left_up = unfinished.link == DOWN != current.settings.link
    notes = (note, f"PF {current.address}: {_LEFT_UP}") if is_left_up else (note,)
    return goal._replace(restored=Restored(back, probed), notes=(*notes, *goal.notes), warnings=notes)


def _properties(current: PfState, spec: PfSpec) -> dict[int, VfProperties]:
    """Declared properties by VF id, with derived addresses resolved.

    An address derived from the PF's own stays as it is where that was not read.
    """
    identity = current.link.permanent if current.link else None
    properties: dict[int, VfProperties] = {}
    for vf in spec.vfs:
        for vf_id in map(int, vf.ids if vf.properties else ()):
            own = vf.properties.of_vf(vf_id, identity)
            properties[vf_id] = own.over(properties[vf_id]) if vf_id in properties else own
    return properties


def _devices(spec: PfSpec, present: frozenset[int]) -> dict[int, VfDevice]:
    devices: dict[int, VfDevice] = {}
    for vf in spec.vfs:
        for vf_id in present.intersection(map(int, vf.ids)) if vf.device != _NO_DEVICE else ():
            devices[vf_id] = vf.device.of_vf(vf_id).over(devices.get(vf_id, VfDevice()))
    return devices


def _over(declared: Mapping[int, VfProperties], kept: Mapping[int, VfProperties]) -> dict[int, VfProperties]:
    """The ``declared`` properties over the ``kept`` ones, in the order of ids."""
    if not kept:
        return dict(sorted(declared.items()))
    ids = sorted(set(kept) | set(declared))
    return {i: declared.get(i, VfProperties()).over(kept.get(i, VfProperties())) for i in ids}


def _driver(name: str) -> str | None:
    return None if name == DEFAULT_DRIVER else name
