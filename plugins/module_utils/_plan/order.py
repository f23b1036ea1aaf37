# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a plan's steps: properties before presence, drivers last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .._model import eswitch
from .._model.kernel_interface import INTERFACES
from .._model.properties import VfProperties
from .._model.state import UNBOUND, PfState
from .._model.vf_device import VfDevice
from . import link_order
from . import steps as _steps
from .goal import Goal, new_vectors
from .steps import Step


def steps_to(current: PfState, goal: Goal) -> Iterator[Step]:
    """All steps from the current state to the goal, in order.

    VF MTUs and names come last: a VF's network interface appears with its driver.
    """
    steps = list(_vf_steps(current, goal))
    yield from steps
    new = frozenset().union(*(step.ids for step in steps if step.what == "unbind"))
    for vf_id, device in sorted(goal.target.devices.items()):
        renewed = goal.disruption.disables_all or vf_id in new
        if device.mtu is not None and (renewed or current.devices.get(vf_id, VfDevice()).mtu != device.mtu):
            yield _steps.set_vf_mtu(current, vf_id, device.mtu, renewed=renewed)
        if device.name is not None and (renewed or current.devices.get(vf_id, VfDevice()).name != device.name):
            yield _steps.set_vf_name(current, vf_id, device.name, renewed=renewed)


def _vf_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Steps for PF and VFs, in order, except VF MTUs.

    Autoprobe, enable in hardware, properties, read back, present, driver: nothing sees a VF without its properties.
    """
    added = goal.target.present - (frozenset() if goal.disruption.disables_all else current.present)
    by_enabling = _by_enabling(current, goal)
    wanted = goal.target.settings
    change = eswitch.change_of(current.driver, current.settings, wanted) if wanted.eswitch_mode else None
    late = change is not None and eswitch.is_late(change, goal.target.settings) and goal.target.enabled > 0
    chosen = _added_quietly(current, goal, added, by_enabling, late)
    quiet = bool(chosen) and goal.target.autoprobe
    during = goal.target.autoprobe and not quiet
    if current.autoprobe != during:
        yield _steps.autoprobe(current, current.autoprobe, during)
    interim = current
    if goal.disruption.disables_all:
        yield _steps.disable(current)
        interim = current._replace(enabled=0, present=frozenset(), vfs={}, properties={}, devices={})
    yield from _removal(interim, goal)
    yield from (_steps.unbind(interim, vf_id) for vf_id in sorted(goal.disruption.released))
    released = {vf_id: interim.vfs[vf_id]._replace(driver=None) for vf_id in goal.disruption.released}
    interim = interim._replace(vfs={**interim.vfs, **released})
    yield from _mode_steps(interim, goal, change is not None and not late)
    yield from _mtu_steps(current, goal)
    link = link_order.links(current, goal) if current.settings.link else link_order.LinkSteps()
    yield from link.before
    if goal.target.enabled != interim.enabled:
        yield _steps.enable(interim, goal.target.enabled)
    yield from _property_steps(interim, goal)
    yield from link.after
    yield from _mode_steps(interim, goal, late)
    first = (added if not quiet else chosen) - by_enabling
    yield from _steps.add(interim, first)
    yield from _driver_steps(interim, goal, autoprobe=during)
    if quiet:
        yield _steps.autoprobe(current, False, True)
        for vf_id in sorted(chosen - _named(goal) | _cleared(interim, goal)):
            yield _steps.probe(interim, vf_id, None)
        yield from _steps.add(interim, added - by_enabling - chosen)
    yield from _restore_steps(current, goal)


def _named(goal: Goal) -> frozenset[int]:
    """VFs that are to have a driver of their own."""
    return frozenset(vf_id for vf_id, driver in goal.target.drivers.items() if driver)


def _added_quietly(
    current: PfState, goal: Goal, added: frozenset[int], by_enabling: frozenset[int], late: bool
) -> frozenset[int]:
    """VFs that are added with autoprobe off.

    No other driver may bind before they have their own, their vectors or, where enabling itself adds them, their
    properties and the eswitch its mode.
    """
    known = current._replace(devices={}) if goal.disruption.disables_all else current
    special = added & (_named(goal) | frozenset(new_vectors(known, goal.target.devices)))
    early = late or bool(special) or bool(by_enabling & frozenset(goal.target.properties))
    return INTERFACES[current.interface].added_with(special, added) | (by_enabling if early else frozenset())


def _mode_steps(current: PfState, goal: Goal, now: bool) -> Iterator[Step]:
    if now:
        yield _steps.set_eswitch(current, goal.target.settings.eswitch_mode or "")


def _mtu_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """The step of the PF's MTU, before VFs are enabled.

    Some drivers restart the PF for it.
    """
    mtu = goal.target.settings.mtu
    if mtu is not None and mtu != current.settings.mtu:
        yield _steps.set_pf_mtu(current, mtu)


def _by_enabling(current: PfState, goal: Goal) -> frozenset[int]:
    """VFs that enabling itself adds."""
    if goal.target.enabled == 0 or (current.enabled and not goal.disruption.disables_all):
        return frozenset()
    return INTERFACES[current.interface].added_by_enabling(goal.target.present)


def _removal(current: PfState, goal: Goal) -> Iterator[Step]:
    gone = current.present - goal.target.present
    for vf_id in sorted(gone):
        if (vf := current.vfs.get(vf_id)) and vf.driver:
            yield _steps.unbind(current, vf_id)
    if gone:
        yield from _steps.remove(current, gone)


def _property_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Steps that set missing properties and read them back.

    Only differences are written, of VFs just enabled all values; all declared values of a changed VF are read back.
    """
    missing = {
        vf_id: difference
        for vf_id, wanted in sorted(goal.target.properties.items())
        if (difference := wanted.missing_in(current.properties.get(vf_id, VfProperties())))
    }
    for vf_id, difference in missing.items():
        yield from _steps.set_properties(current, vf_id, difference)
    if missing:
        yield _steps.read_back(current, {vf_id: goal.target.properties[vf_id] for vf_id in missing})


def _cleared(current: PfState, goal: Goal) -> frozenset[int]:
    """VFs that lose their override, so that the kernel chooses their driver."""
    have = frozenset(i for i, vf in current.vfs.items() if vf.driver_override)
    return have & frozenset(i for i, driver in goal.target.drivers.items() if driver is None)


def _driver_steps(current: PfState, goal: Goal, autoprobe: bool) -> Iterator[Step]:
    """Steps that change drivers, overrides and MSI-X vectors of present VFs.

    ``current`` is the PF when these begin. VFs that it does not list were added with autoprobe off and are unbound.
    Without ``autoprobe`` the kernel makes no choice: VFs that are `_cleared` stay unbound.

    VFs that are unbound only for a moment have their driver as override meanwhile, so that no other driver binds. An
    override is cleared after unbinding: as long as it is set, a run that is killed has left something to do.
    """
    vectors = new_vectors(current, goal.target.devices) if goal.target.devices else {}
    named = {
        i: d for i, d in goal.target.drivers.items()
        if d and d != UNBOUND and (d != _driver_of(current, i) or i in vectors)
    }  # fmt: skip
    freed = _to_unbind(current, goal)
    yield from (_steps.load_driver(current, d) for d in sorted(set(named.values()) - current.bus_drivers))
    changing = sorted({*named, *_cleared(current, goal)})
    back = {vf_id: driver for vf_id, (driver, _override) in sorted(goal.preserved.rebound.items())}
    overrides = {**{vf_id: named.get(vf_id) for vf_id in changing}, **back, **freed}
    differing = [vf_id for vf_id, driver in overrides.items() if _override_of(current, vf_id) != driver]
    yield from (_steps.set_override(current, vf_id, driver) for vf_id in differing if (driver := overrides[vf_id]))
    yield from (_steps.unbind(current, vf_id) for vf_id in overrides if _driver_of(current, vf_id))
    yield from (_steps.set_override(current, vf_id, None) for vf_id in differing if not overrides[vf_id])
    yield from _vector_steps(current, goal, vectors)
    probed = [vf_id for vf_id in changing if vf_id in named or autoprobe]
    for vf_id in [*probed, *back]:
        yield _steps.probe(current, vf_id, named.get(vf_id) or back.get(vf_id))
    for vf_id in [vf_id for vf_id in differing if vf_id in back]:
        yield _steps.change_override(current, vf_id, back[vf_id], _override_of(current, vf_id))


def _to_unbind(current: PfState, goal: Goal) -> dict[int, str | None]:
    """Overrides of VFs to be `UNBOUND` that may have a driver."""
    if UNBOUND not in goal.target.drivers.values():
        return {}
    opt_out = goal.target.opt_out
    return {
        i: opt_out for i, vf in sorted(goal.target.unbound_in(current).items())
        if (vf.driver_override if vf else None) != opt_out or (vf and vf.driver)
    }  # fmt: skip


def _restore_steps(current: PfState, goal: Goal) -> Iterator[Step]:
    """Steps that restore drivers and overrides after an unfinished run.

    They follow `_driver_steps` and concern VFs that stay.
    """
    for vf_id, (driver, override) in sorted(goal.restored.drivers.items()):
        have = _override_of(current, vf_id)
        if not _driver_of(current, vf_id):
            if have != driver:
                yield _steps.change_override(current, vf_id, have, driver)
            have = driver
            yield _steps.probe(current, vf_id, driver)
        if have != override:
            yield _steps.change_override(current, vf_id, have, override)
    for vf_id in sorted(goal.restored.probed - _cleared(current, goal)):
        if not _driver_of(current, vf_id):
            yield _steps.probe(current, vf_id, None)


def _vector_steps(current: PfState, goal: Goal, vectors: Mapping[int, int]) -> Iterator[Step]:
    """Steps that write MSI-X vectors, VFs that give some back first.

    All VFs of a PF share one pool.
    """

    def more(vf_id: int) -> tuple[int, int]:
        have = current.devices.get(vf_id, VfDevice()).msix_vectors
        return (0 if have is None else vectors[vf_id] - have, vf_id)

    for vf_id in sorted(vectors, key=more):
        fresh = goal.disruption.disables_all or current.enabled == 0
        yield _steps.set_msix(current, vf_id, vectors[vf_id], fresh=fresh)


def _override_of(pf: PfState, vf_id: int) -> str | None:
    vf = pf.vfs.get(vf_id)
    return vf.driver_override if vf else None


def _driver_of(pf: PfState, vf_id: int) -> str | None:
    vf = pf.vfs.get(vf_id)
    return vf.driver if vf else None
