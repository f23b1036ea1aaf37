# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a PF is to its goal, in the order that the kernel and drivers ask for."""

from __future__ import annotations

from collections.abc import Iterator

from .._model import eswitch
from .._model.properties import VfProperties
from .._model.state import PfState
from .._model.vf_device import VfDevice
from . import device_steps
from . import steps as _steps
from .driver_order import cleared, driver_steps, restore_steps
from .goal import Goal
from .steps import Step


def steps_to(current: PfState, goal: Goal) -> Iterator[Step]:
    """All of the VFs, then the MTU of those with an interface of their own: it is there once they have their driver."""
    steps = list(_vf_steps(current, goal))
    yield from steps
    new = frozenset().union(*(step.ids for step in steps if step.what == "unbind"))
    for vf_id, device in sorted(goal.devices.items()):
        renewed = goal.disables_all or vf_id in new
        if device.mtu is not None and (renewed or current.devices.get(vf_id, VfDevice()).mtu != device.mtu):
            yield device_steps.vf_mtu(current, vf_id, device.mtu, renewed=renewed)


def _vf_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Autoprobe, enable in hardware, properties, read back, present, driver: nothing sees a VF before it is right.

    Where VFs are to get a driver while autoprobe is on, they are added with autoprobe off, so that no other driver
    takes them in between; then autoprobe goes on and the others follow. So are those whose vectors are written, those
    that an eswitch changes below, and those that enabling itself adds before they can be given properties.
    """
    added = goal.present - (frozenset() if goal.disables_all else current.present)
    by_enabling = _by_enabling(current, goal)
    change = eswitch.change_of(current.driver, current.settings, goal.settings)
    late = change is not None and eswitch.is_late(change, goal.settings) and goal.enabled > 0
    named = frozenset(vf_id for vf_id, driver in goal.drivers.items() if driver)
    vectors = goal.new_vectors(current._replace(devices={}) if goal.disables_all else current)
    special = added & (named | frozenset(vectors))
    early = late or bool(special) or bool(by_enabling & frozenset(goal.properties))
    chosen = special | (by_enabling if early else frozenset())
    quiet = bool(chosen) and goal.autoprobe
    during = goal.autoprobe and not quiet
    if current.autoprobe != during:
        yield _steps.autoprobe(current, current.autoprobe, during)
    interim = current
    if goal.disables_all:
        yield _steps.disable(current)
        interim = current._replace(enabled=0, present=frozenset(), vfs={}, properties={}, devices={})
    yield from _removal(interim, goal)
    yield from (_steps.unbind(interim, vf_id) for vf_id in sorted(goal.released))
    released = {vf_id: interim.vfs[vf_id]._replace(driver=None) for vf_id in goal.released}
    interim = interim._replace(vfs={**interim.vfs, **released})
    yield from _mode_steps(interim, goal, change is not None and not late)
    yield from _mtu_steps(current, goal)
    if goal.enabled != interim.enabled:
        yield _steps.enable(interim, goal.enabled)
    yield from _property_steps(interim, goal)
    yield from _mode_steps(interim, goal, late)
    first = (added if not quiet else chosen) - by_enabling
    yield from _steps.add(interim, first)
    yield from driver_steps(interim, goal, autoprobe=during)
    if quiet:
        yield _steps.autoprobe(current, False, True)
        for vf_id in sorted(chosen - named | cleared(interim, goal)):
            yield _steps.probe(interim, vf_id, None)
        yield from _steps.add(interim, added - by_enabling - chosen)
    yield from restore_steps(current, goal)


def _mode_steps(current: PfState, goal: Goal, now: bool) -> Iterator[Step]:
    if now:
        yield device_steps.eswitch(current, goal.settings.eswitch_mode or "")


def _mtu_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Before VFs are enabled: some drivers restart the PF for it."""
    mtu = goal.settings.mtu
    if mtu is not None and mtu != current.settings.mtu:
        yield device_steps.pf_mtu(current, mtu)


def _by_enabling(current: PfState, goal: Goal) -> frozenset[int]:
    """The VFs that enabling itself adds."""
    if goal.enabled == 0 or (current.enabled and not goal.disables_all):
        return frozenset()
    if not current.abilities.enable_only:
        return goal.present
    return frozenset({0}) if current.abilities.first_always else frozenset()


def _removal(current: PfState, goal: Goal) -> Iterator[Step]:
    gone = current.present - goal.present
    for vf_id in sorted(gone):
        if (vf := current.vfs.get(vf_id)) and vf.driver:
            yield _steps.unbind(current, vf_id)
    if gone:
        yield from _steps.remove(current, gone)


def _property_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Only differences are written, all of VFs that were just enabled; then all that is wished of them is read back."""
    missing = {
        vf_id: difference
        for vf_id, wanted in sorted(goal.properties.items())
        if (difference := wanted.missing_in(current.properties.get(vf_id, VfProperties())))
    }
    for vf_id, difference in missing.items():
        yield from _steps.set_properties(current, vf_id, difference)
    if missing:
        yield _steps.read_back(current, {vf_id: goal.properties[vf_id] for vf_id in missing})
