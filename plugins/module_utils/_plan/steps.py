# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan: one action each, with what was before, what is after, and the actions that take it back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from .._model import eswitch, vf_ids
from .._model.paths import DEVICES, DRIVERS
from .._model.properties import VfProperties
from .._model.state import PfState, VfState
from .._model.vf_device import VfDevice, number_for
from .._tools import ip_syntax
from .actions import Action, Command, ReadBack, SetMtu, Write

KERNELS_CHOICE = "kernel's choice"
"""In place of a driver's name."""

NO_OVERRIDE = "\n"
"""Clears driver_override (drivers/base/driver.c, driver_set_override)."""


@dataclass(frozen=True)
class Step:
    """``ids`` are the VFs it is about, ``disrupts`` those it would take away from whoever holds them."""

    pf: str
    what: str
    before: str
    after: str
    action: Action
    undo: tuple[Action, ...] = ()
    ids: frozenset[int] = frozenset()
    disrupts: frozenset[int] = frozenset()

    @property
    def is_kernels_choice(self) -> bool:
        """Whether the kernel is asked for a driver of its own choice."""
        return self.what == "bind" and self.after == KERNELS_CHOICE

    def to_dict(self) -> dict[str, Any]:
        vfs = {"vfs": vf_ids.compress(self.ids)} if self.ids else {}
        return {"pf": self.pf, "step": self.what, **vfs, "before": self.before, "after": self.after}


def summary(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The steps for people and programs: neighbours that differ only in their VFs are one entry."""

    def alike(step: Step) -> tuple[str, str, str, str]:
        return step.pf, step.what, step.before, step.after

    rows = []
    for _key, group in groupby(steps, alike):
        members = list(group)
        ids = frozenset().union(*(step.ids for step in members))
        rows.append({**members[0].to_dict(), **({"vfs": vf_ids.compress(ids)} if ids else {})})
    return rows


def autoprobe(pf: PfState, before: bool, after: bool) -> Step:
    path = f"{DEVICES}/{pf.address}/sriov_drivers_autoprobe"
    undo = Write(path, str(int(before)))
    return Step(pf.address, "autoprobe", _on(before), _on(after), Write(path, str(int(after))), (undo,))


def enable(pf: PfState, number: int) -> Step:
    """From 0 to ``number``: without adding where the kernel can, all at once where it cannot."""
    return Step(pf.address, "enable", "0", str(number), _enable(pf, number), (_disable(pf, number),))


def disable(pf: PfState) -> Step:
    """To 0, which takes every present VF away; undone by enabling, adding, properties and drivers as found."""
    undo = (_enable(pf, pf.enabled), *_put_back(pf))
    return Step(pf.address, "disable", str(pf.enabled), "0", _disable(pf, pf.enabled), undo, pf.present, pf.present)


def set_properties(pf: PfState, vf_id: int, wanted: VfProperties) -> Iterator[Step]:
    """``wanted`` holds differences only; what was not read before (VFs just enabled) has no undo but disabling."""
    found = pf.properties.get(vf_id, VfProperties())
    ids = frozenset({vf_id})
    for part in wanted.by_command():
        before = found.only(part)
        undo = (_set(pf, vf_id, before),) if before else ()
        yield Step(pf.address, "properties", _pairs(before), _pairs(part), _set(pf, vf_id, part), undo, ids)


def _set(pf: PfState, vf_id: int, wanted: VfProperties) -> Command:
    netdev, found = pf.netdev or "", pf.properties.get(vf_id, VfProperties())
    parts = ip_syntax.set_parts(netdev, vf_id, wanted, found)
    argv = tuple(ip_syntax.set_argv(netdev, vf_id, wanted, found))
    return Command(argv, (pf.address, vf_id), tuple((given, tuple(words)) for given, words in parts))


def links_as_found(pf: PfState) -> tuple[Action, ...]:
    """The link states that somebody gave to VFs, which a change of the eswitch and back makes forget."""
    lost = eswitch.kept_by_nobody(pf.driver, pf.settings.eswitch_mode)
    states = {i: VfProperties(link_state=p.without(lost).link_state) for i, p in sorted(pf.properties.items())}
    return tuple(action for i, state in states.items() for action in _given(pf, i, state.without_defaults()))


def read_back(pf: PfState, wanted: Mapping[int, VfProperties]) -> Step:
    return Step(
        pf.address, "read back", "", "as wanted", ReadBack(pf.address, pf.netdev or "", wanted), (), frozenset(wanted)
    )


def remove(pf: PfState, ids: Iterable[int]) -> Iterator[Step]:
    """VFs that are bound to no driver (any more)."""
    for chunk in vf_ids.chunks(ids):
        undo = (*_scan(pf, chunk), *(action for vf_id in sorted(chunk) for action in _left_alone(pf, vf_id)))
        yield Step(pf.address, "remove", "present", "absent", _remove(pf, chunk), undo, chunk, chunk)


def add(pf: PfState, ids: Iterable[int]) -> Iterator[Step]:
    """Taken back by removal, unbound first from any driver that came meanwhile; not on the narrow interface."""
    for chunk in vf_ids.chunks(ids) if pf.abilities.lists else [frozenset({vf_id}) for vf_id in sorted(ids)]:
        undo: tuple[Action, ...] = ()
        if pf.abilities.remove:
            undo = (*(_unbind(pf, vf_id) for vf_id in sorted(chunk)), _remove(pf, chunk))
        yield Step(pf.address, "add", "absent", "present", _scan(pf, chunk)[0], undo, chunk)


def load_driver(pf: PfState, driver: str) -> Step:
    """A driver stays loaded: others may use it by then."""
    return Step(pf.address, "load driver", "", driver, Command(("modprobe", driver)))


def override(pf: PfState, vf_id: int, driver: str | None) -> Step:
    """driver_override to ``driver``, None for none."""
    return change_override(pf, vf_id, _found(pf, vf_id).driver_override, driver)


def change_override(pf: PfState, vf_id: int, before: str | None, driver: str | None) -> Step:
    """As `override`, where an earlier step has changed it already."""
    actions = _override(pf, vf_id, driver), _override(pf, vf_id, before)
    return Step(pf.address, "override", before or "none", driver or "none", actions[0], actions[1:], frozenset({vf_id}))


def unbind(pf: PfState, vf_id: int) -> Step:
    """From whatever driver the VF is bound to, if any."""
    found = _found(pf, vf_id)
    undo = (_unbind(pf, vf_id), *_bind(pf, vf_id, found.driver, found.driver_override)) if found.driver else ()
    ids = frozenset({vf_id})
    undo += _mtu_as_found(pf, vf_id) if found.driver else ()
    return Step(pf.address, "unbind", found.driver or "any", "none", _unbind(pf, vf_id), undo, ids, ids)


def probe(pf: PfState, vf_id: int, driver: str | None) -> Step:
    """Let the driver of the override, or the kernel's choice, take the VF."""
    after = driver or KERNELS_CHOICE
    return Step(
        pf.address, "bind", "none", after, _probe(pf, vf_id), (_unbind(pf, vf_id),), frozenset({vf_id})
    )  # fmt: skip


def _put_back(pf: PfState) -> tuple[Action, ...]:
    """What a PF just enabled again needs, to be as ``pf`` was."""
    actions: list[Action] = []
    lost = eswitch.kept_by_nobody(pf.driver, pf.settings.eswitch_mode)
    for vf_id, properties in sorted(pf.properties.items()):
        actions += _given(pf, vf_id, properties.without(lost).without_defaults())
    if pf.abilities.choose:
        by_itself = frozenset({0} if pf.abilities.first_always else ())
        actions += [action for chunk in vf_ids.chunks(pf.present - by_itself) for action in _scan(pf, chunk)]
    actions += [action for vf_id in sorted(pf.vfs) for action in _left_alone(pf, vf_id)]
    actions += _vectors_as_found(pf)
    for vf_id, vf in sorted(pf.vfs.items()):
        if vf.driver:
            actions += [*_bind(pf, vf_id, vf.driver, vf.driver_override), *_mtu_as_found(pf, vf_id)]
    return tuple(actions)


def as_found(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    """What a VF needs that the kernel has taken away and added again: driver, override and MTU as ``pf`` has them."""
    vf = _found(pf, vf_id)
    bound = (*_bind(pf, vf_id, vf.driver, vf.driver_override), *_mtu_as_found(pf, vf_id)) if vf.driver else ()
    return (*_left_alone(pf, vf_id), *bound)


def _given(pf: PfState, vf_id: int, given: VfProperties) -> list[Action]:
    """What sets properties of a VF as found."""
    return [_set(pf, vf_id, part) for part in given.by_command()] if pf.netdev else []


def _left_alone(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    """What a VF just added again needs: free of the driver that autoprobe may have brought, its override as found."""
    override = _found(pf, vf_id).driver_override
    return (_unbind(pf, vf_id), *((_override(pf, vf_id, override),) if override else ()))


def _vectors_as_found(pf: PfState) -> list[Action]:
    """As far as they were read, of VFs that are not bound, the fewest first: all take them from one pool.

    Where the PF cannot share vectors out, nobody has changed them.
    """
    found = [(d.msix_vectors, vf_id) for vf_id, d in pf.devices.items() if d.msix_vectors is not None and pf.total_msix]
    return [set_msix(pf, vf_id, number_for(vectors, pf.driver)) for vectors, vf_id in sorted(found)]


def _mtu_as_found(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    """As far as it was read, of a VF whose driver came back: with it comes a new network interface."""
    found = pf.devices.get(vf_id, VfDevice()).mtu
    return () if found is None else (SetMtu(vf_link(pf, vf_id), found),)


def set_msix(pf: PfState, vf_id: int, vectors: int) -> Write:
    """drivers/pci/iov.c, sriov_vf_msix_count_store; 0 is the device's default."""
    return Write(f"{vf_link(pf, vf_id)}/sriov_vf_msix_count", str(vectors))


def _enable(pf: PfState, number: int) -> Write:
    file = "sriov_numvfs_no_scan" if pf.abilities.enable_only else "sriov_numvfs"
    return Write(f"{DEVICES}/{pf.address}/{file}", str(number), vfs=number)


def _disable(pf: PfState, number: int) -> Write:
    """From ``number`` to 0.

    Through the new file where it is known to do that: it does not hold up other PFs while the hardware waits.
    """
    file = "sriov_numvfs_no_scan" if pf.abilities.remove else "sriov_numvfs"
    return Write(f"{DEVICES}/{pf.address}/{file}", "0", vfs=number, waits=True)


def _remove(pf: PfState, ids: frozenset[int]) -> Write:
    return Write(f"{DEVICES}/{pf.address}/sriov_remove_vf_id", vf_ids.compress(ids), vfs=len(ids), waits=True)


def _scan(pf: PfState, ids: frozenset[int]) -> tuple[Write, ...]:
    """One write for a list, or one for each id."""
    path = f"{DEVICES}/{pf.address}/sriov_scan_vf_id"
    if pf.abilities.lists:
        return (Write(path, vf_ids.compress(ids), vfs=len(ids)),)
    return tuple(Write(path, str(vf_id)) for vf_id in sorted(ids))


def vf_link(pf: PfState, vf_id: int) -> str:
    return f"{DEVICES}/{pf.address}/virtfn{vf_id}"


def _override(pf: PfState, vf_id: int, driver: str | None) -> Write:
    return Write(f"{vf_link(pf, vf_id)}/driver_override", driver or NO_OVERRIDE)


def _unbind(pf: PfState, vf_id: int) -> Write:
    return Write(f"{vf_link(pf, vf_id)}/driver/unbind", device=vf_link(pf, vf_id), missing_ok=True, waits=True)


def _probe(pf: PfState, vf_id: int) -> Write:
    return Write(f"{DRIVERS}_probe", device=vf_link(pf, vf_id))


def _bind(pf: PfState, vf_id: int, driver: str, driver_override: str | None) -> tuple[Action, ...]:
    """To ``driver``, whatever autoprobe says (an override opens it), leaving the override as it was found."""
    last = () if driver == driver_override else (_override(pf, vf_id, driver_override),)
    return (_override(pf, vf_id, driver), _probe(pf, vf_id), *last)


def _found(pf: PfState, vf_id: int) -> VfState:
    return pf.vfs.get(vf_id, VfState(address=""))


def _on(value: bool) -> str:
    return "on" if value else "off"


def _pairs(properties: VfProperties) -> str:
    """``mac 02:.. vlan 100``, flags as on and off."""
    return " ".join(f"{k} {_on(v) if isinstance(v, bool) else v}" for k, v in properties.to_dict().items()) or "unset"
