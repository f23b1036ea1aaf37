# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sides of a diff: previous and desired state.

Both have the same keys, those of declared values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._model.properties import VfProperties
from .._model.state import UNBOUND, PfState
from .._model.vf_device import VfDevice, as_declared
from .._model.vf_ids import compress, describe
from .goal import Goal
from .spread import by_range


def before(current: PfState, goal: Goal) -> dict[str, Any]:
    drivers = {
        i: _unbound(current, i, goal) if wanted == UNBOUND else _driver_of(current, i, wanted)
        for i, wanted in goal.target.drivers.items()
    }
    properties = {
        i: current.properties.get(i, VfProperties()).only(wanted) for i, wanted in goal.target.properties.items()
    }
    facts = _facts(current.enabled, current.present, current.autoprobe, drivers, properties)
    have = {vf_id: _as_desired(current, vf_id, wanted) for vf_id, wanted in goal.target.devices.items()}
    settings = {name: getattr(current.settings, name) for name in goal.target.settings.to_dict()}
    return _with_devices({**facts, **settings}, goal, have)


def after(goal: Goal) -> dict[str, Any]:
    facts = _facts(
        goal.target.enabled, goal.target.present, goal.target.autoprobe, goal.target.drivers, goal.target.properties
    )
    return _with_devices({**facts, **goal.target.settings.to_dict()}, goal, goal.target.devices)


def _as_desired(current: PfState, vf_id: int, wanted: VfDevice) -> VfDevice:
    """The VF's current settings, in the terms of the desired ones.

    ``msix_vectors`` is the desired number where the table has the size that the PF's driver makes of it.
    """
    have = current.devices.get(vf_id, VfDevice())
    if wanted.msix_vectors is None:
        return have
    return have._replace(msix_vectors=as_declared(wanted.msix_vectors, have.msix_vectors, current.driver))


def _driver_of(current: PfState, vf_id: int, wanted: str | None) -> str | None:
    """The bound driver, or the driver_override where no driver is desired."""
    vf = current.vfs.get(vf_id)
    if wanted is None:
        return vf.driver_override if vf else None
    return vf.driver or "none" if vf else "absent"


def _unbound(current: PfState, vf_id: int, goal: Goal) -> str:
    """State of a VF to be unbound, with an override that differs."""
    vf = current.vfs.get(vf_id)
    if vf is None or vf.driver:
        return vf.driver or "" if vf else "absent"
    differs = vf.driver_override != goal.target.opt_out
    return f"none (driver_override {vf.driver_override or 'empty'})" if differs else UNBOUND


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
    """The ``facts`` with those ``devices`` settings that the goal sets."""
    for vf_id, wanted in sorted(goal.target.devices.items()):
        have = {name: value for name, value in devices[vf_id].to_dict().items() if name in wanted.to_dict()}
        facts["vfs"][str(vf_id)] = {**facts["vfs"].get(str(vf_id), {}), **have}
    return facts


def in_few(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Side ``one`` of a diff of a PF, in few lines.

    One is for the PF, one for each range of its VFs. Only what the ``other`` side has otherwise: both are results of
    `before` and `after`.
    """
    facts = [f"{key} {_text(value)}" for key, value in one.items() if key != "vfs" and value != other[key]]
    texts = {int(vf_id): text for vf_id, of in one["vfs"].items() if (text := _differing(of, other["vfs"][vf_id]))}
    lines = {"pf": ", ".join(facts)} if facts else {}
    return {**lines, **{f"vfs {compress(ids)}": text for ids, text in by_range(texts)}}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    if one == other:
        return ""
    return " ".join(f"{key} {_text(value)}" for key, value in one.items() if value != other.get(key)) or "unset"


def _text(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
