# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortfall of a PF: differences between its goal and a reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._model import vf_ids
from .._model.state import UNBOUND, PfState
from .goal import Goal


def shortfall(goal: Goal, current: PfState) -> list[str]:
    """Differences between goal and reading, empty when the goal is reached.

    Each is a text "thing: wanted .., found ..".
    """
    facts = (*_pf_facts(goal, current), *_driver_facts(goal, current), *_property_facts(goal, current))
    facts = (*facts, *_device_facts(goal, current))
    return [f"{thing}: wanted {wanted}, found {have}" for thing, wanted, have in facts if wanted != have]


def _pf_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    target = goal.target
    yield "hardware_vfs", target.enabled, current.enabled
    if target.present != current.present:
        yield "present_vfs", vf_ids.describe(target.present), vf_ids.describe(current.present)
    yield "drivers_autoprobe", target.autoprobe, current.autoprobe
    for name, value in target.settings._asdict().items():
        if value is not None:
            yield name, value, getattr(current.settings, name)


def _driver_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    """Triples of thing, desired and current driver or override of VFs.

    Drivers only where they differ: there may be thousands of VFs.
    """
    differ: dict[int, tuple[str | None, str | None]] = {}
    returned = {**goal.preserved.rebound, **goal.restored.drivers}
    for vf_id, driver in {**goal.target.drivers, **{i: driver for i, (driver, _override) in returned.items()}}.items():
        if driver == UNBOUND:
            continue
        vf = current.vfs.get(vf_id)
        have = vf and (vf.driver if driver else vf.driver_override)
        if have != driver:
            differ[vf_id] = driver, have
    for vf_id, (driver, have) in sorted(differ.items()):
        yield f"driver of VF {vf_id}", driver or "the default", have or (driver and "none") or "the default"
    for vf_id, (_driver, override) in sorted(returned.items()):
        have = current.vfs[vf_id].driver_override if vf_id in current.vfs else None
        yield f"driver_override of VF {vf_id}", override or "none", have or "none"
    unbound = goal.target.unbound_in(current) if UNBOUND in goal.target.drivers.values() else {}
    for vf_id, vf in sorted(unbound.items()):
        yield f"driver of VF {vf_id}", UNBOUND, (vf.driver or UNBOUND) if vf else "absent"
        if vf and vf.driver_override != goal.target.opt_out:
            yield f"driver_override of VF {vf_id}", goal.target.opt_out or "empty", vf.driver_override or "empty"


def _property_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    for vf_id, wanted in sorted(goal.target.properties.items()):
        have = current.properties.get(vf_id)
        for name, value in wanted._asdict().items():
            if value is not None:
                yield f"{name} of VF {vf_id}", value, getattr(have, name, None)


def _device_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    if not goal.target.devices:
        return
    from .._model.vf_device import VfDevice, as_declared

    for vf_id, device in sorted(goal.target.devices.items()):
        have = current.devices.get(vf_id, VfDevice())
        if device.msix_vectors is not None:
            table = as_declared(device.msix_vectors, have.msix_vectors, current.driver)
            yield f"msix_vectors of VF {vf_id}", device.msix_vectors, table
        if device.mtu is not None:
            yield f"mtu of VF {vf_id}", device.mtu, have.mtu
        if device.name is not None:
            yield f"name of VF {vf_id}", device.name, have.name
