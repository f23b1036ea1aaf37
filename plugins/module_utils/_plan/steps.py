# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan: action, state before and after, undo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from .._model import vf_ids
from .._model.actions import Action, Command, ReadBack, SetEswitch, SetLink, SetMtu, SetName, Write
from .._model.kernel_interface import INTERFACES
from .._model.paths import DEVICES
from .._model.properties import VfProperties
from .._model.state import PfState
from .._model.vf_device import VfDevice, number_for
from . import vf_actions

KERNELS_CHOICE = "kernel's choice"
"""The text in place of a driver's name."""


class Step(NamedTuple):
    """One step; ``ids``: its VFs; ``disrupts``: those taken from their holders."""

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
        """Whether the step binds a driver of the kernel's choice."""
        return self.what == "bind" and self.after == KERNELS_CHOICE

    def to_dict(self) -> dict[str, Any]:
        vfs = {"vfs": vf_ids.compress(self.ids)} if self.ids else {}
        return {"pf": self.pf, "step": self.what, **vfs, "before": self.before, "after": self.after}


def summary(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """The steps for people and programs.

    Neighbours that differ only in their VFs are one entry.
    """

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
    """Enable ``number`` VFs, from 0.

    The kernel adds them at the same time where it cannot enable without adding.
    """
    interface = INTERFACES[pf.interface]
    action, undo = interface.enable(pf.address, number), interface.disable(pf.address, number)
    return Step(pf.address, "enable", "0", str(number), action, (undo,))


def disable(pf: PfState) -> Step:
    """Disable all VFs, which removes every present one.

    Undo: enable, add, set the previous properties, bind the previous drivers.
    """
    interface = INTERFACES[pf.interface]
    undo = (interface.enable(pf.address, pf.enabled), *vf_actions.restore_all(pf))
    action = interface.disable(pf.address, pf.enabled)
    return Step(pf.address, "disable", str(pf.enabled), "0", action, undo, pf.present, pf.present)


def set_eswitch(pf: PfState, mode: str) -> Step:
    """Change the mode of the eswitch.

    Undo: the previous mode, then the link states of VFs, as far as they stay enabled.
    """
    before = pf.settings.eswitch_mode or ""
    undo = (SetEswitch(pf.address, before), *vf_actions.restore_links(pf))
    return Step(pf.address, "eswitch", before, mode, SetEswitch(pf.address, mode), undo)


def set_pf_mtu(pf: PfState, mtu: int) -> Step:
    """Set the MTU of the PF's network interface.

    Of the one that the PF has now: in switchdev mode others join it in its folder.
    """
    path = f"{DEVICES}/{pf.address}"
    before = pf.settings.mtu
    undo = () if before is None else (SetMtu(path, before),)
    return Step(pf.address, "mtu", _number(before), str(mtu), SetMtu(path, mtu), undo)


def set_link(pf: PfState, before: str, after: str, *, carrier: bool = False) -> Step:
    """Set the PF's network interface up or down."""
    path = f"{DEVICES}/{pf.address}"
    undo = (SetLink(path, before),)
    return Step(pf.address, "link", before, after, SetLink(path, after, carrier), undo)


def set_msix(pf: PfState, vf_id: int, vectors: int, *, fresh: bool) -> Step:
    """Set the number of MSI-X vectors of an unbound VF.

    ``fresh``: enabled by this plan, so that disabling it is undo enough. Without a reading, of a VF that was enabled
    but absent, undo is the device's default: only a present VF shows its number.
    """
    before = pf.devices.get(vf_id, VfDevice()).msix_vectors
    undo = () if fresh else (vf_actions.set_msix(pf, vf_id, 0 if before is None else number_for(before, pf.driver)),)
    action, ids = vf_actions.set_msix(pf, vf_id, vectors), frozenset({vf_id})
    return Step(pf.address, "msix", _number(before), str(vectors), action, undo, ids)


def set_vf_mtu(pf: PfState, vf_id: int, mtu: int, *, renewed: bool) -> Step:
    """Set the MTU of a VF's network interface.

    ``renewed``: the interface appears with this plan, and goes with its undo.
    """
    before = None if renewed else pf.devices.get(vf_id, VfDevice()).mtu
    folder = vf_actions.link(pf, vf_id)
    undo = () if before is None else (SetMtu(folder, before),)
    return Step(pf.address, "vf mtu", _number(before), str(mtu), SetMtu(folder, mtu), undo, frozenset({vf_id}))


def set_vf_name(pf: PfState, vf_id: int, name: str, *, renewed: bool) -> Step:
    """Name a VF's network interface; ``renewed`` as in `set_vf_mtu`."""
    before = None if renewed else pf.devices.get(vf_id, VfDevice()).name
    folder = vf_actions.link(pf, vf_id)
    undo = () if before is None else (SetName(folder, before),)
    return Step(pf.address, "vf name", before or "default", name, SetName(folder, name), undo, frozenset({vf_id}))


def set_properties(pf: PfState, vf_id: int, wanted: VfProperties) -> Iterator[Step]:
    """Set the ``wanted`` properties of a VF, differences only.

    A value that was not read before (VFs just enabled) has no undo but disabling.
    """
    current = pf.properties.get(vf_id, VfProperties())
    ids = frozenset({vf_id})
    for part in wanted.by_command():
        before = current.only(part)
        undo = (vf_actions.set_properties(pf, vf_id, before),) if before else ()
        action = vf_actions.set_properties(pf, vf_id, part)
        yield Step(pf.address, "properties", pairs(before.to_dict()), pairs(part.to_dict()), action, undo, ids)


def read_back(pf: PfState, wanted: Mapping[int, VfProperties]) -> Step:
    action = ReadBack(pf.address, pf.netdev or "", wanted)
    return Step(pf.address, "read back", "", "as wanted", action, (), frozenset(wanted))


def remove(pf: PfState, ids: Iterable[int]) -> Iterator[Step]:
    """Remove unbound VFs."""
    interface = INTERFACES[pf.interface]
    for chunk in interface.batches(ids):
        undo = (*interface.add(pf.address, chunk), *vf_actions.restore_unbound(pf, sorted(chunk)))
        action = interface.remove(pf.address, chunk)
        yield Step(pf.address, "remove", "present", "absent", action, undo, chunk, chunk)


def add(pf: PfState, ids: Iterable[int]) -> Iterator[Step]:
    """Add VFs.

    Undo, where the interface can remove VFs: unbind them from any driver that was bound meanwhile, then remove them.
    """
    interface = INTERFACES[pf.interface]
    for batch in interface.batches(ids):
        undo: tuple[Action, ...] = ()
        if interface.abilities.remove:
            undo = (*vf_actions.unbind_all(pf, batch), interface.remove(pf.address, batch))
        (action,) = interface.add(pf.address, batch)
        yield Step(pf.address, "add", "absent", "present", action, undo, batch)


def load_driver(pf: PfState, driver: str) -> Step:
    """Load a driver.

    No undo: others may use it by then.
    """
    return Step(pf.address, "load driver", "", driver, Command(("modprobe", driver)))


def set_override(pf: PfState, vf_id: int, driver: str | None) -> Step:
    """Set a VF's driver_override to ``driver``, None for none."""
    return change_override(pf, vf_id, vf_actions.vf_of(pf, vf_id).driver_override, driver)


def change_override(pf: PfState, vf_id: int, before: str | None, driver: str | None) -> Step:
    """Change a driver_override that an earlier step has already changed."""
    action, undo = vf_actions.set_override(pf, vf_id, driver), vf_actions.set_override(pf, vf_id, before)
    return Step(pf.address, "override", before or "none", driver or "none", action, (undo,), frozenset({vf_id}))


def unbind(pf: PfState, vf_id: int) -> Step:
    """Unbind a VF from its driver, whichever it is."""
    vf, action, ids = vf_actions.vf_of(pf, vf_id), vf_actions.unbind(pf, vf_id), frozenset({vf_id})
    if not vf.driver:
        return Step(pf.address, "unbind", "any", "none", action, (), ids, ids)
    back = vf_actions.bind(pf, vf_id, vf.driver, vf.driver_override)
    undo = (action, *back, *vf_actions.restore_interface(pf, vf_id))
    return Step(pf.address, "unbind", vf.driver, "none", action, undo, ids, ids)


def probe(pf: PfState, vf_id: int, driver: str | None) -> Step:
    """Bind the driver of the override, or the kernel's choice."""
    action, undo = vf_actions.probe(pf, vf_id), vf_actions.unbind(pf, vf_id)
    return Step(pf.address, "bind", "none", driver or KERNELS_CHOICE, action, (undo,), frozenset({vf_id}))


def _on(value: bool) -> str:
    return "on" if value else "off"


def _number(value: int | None) -> str:
    return "default" if value is None else str(value)


def pairs(values: Mapping[str, Any]) -> str:
    """Values as ``mac 02:.. vlan 100``, flags as on and off."""
    return " ".join(f"{k} {_on(v) if isinstance(v, bool) else v}" for k, v in values.items()) or "unset"
