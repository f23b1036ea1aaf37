# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions on VFs, and actions that restore their previous state.

VFs are reached through the link of their PF, because addresses of VFs that are not enabled yet may still change.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._model import eswitch
from .._model.actions import Action, Command, SetMtu, SetName, Write
from .._model.kernel_interface import INTERFACES
from .._model.paths import DEVICES, PROBE
from .._model.properties import VfProperties
from .._model.state import PfState, VfState
from .._model.vf_device import VfDevice, number_for
from .._tools import ip_syntax

NO_OVERRIDE = "\n"
"""The value that clears driver_override (drivers/base/driver.c, driver_set_override)."""


def link(pf: PfState, vf_id: int) -> str:
    return f"{DEVICES}/{pf.address}/virtfn{vf_id}"


def vf_of(pf: PfState, vf_id: int) -> VfState:
    """The VF as read, or one without details."""
    return pf.vfs.get(vf_id, VfState(address=""))


def set_properties(pf: PfState, vf_id: int, wanted: VfProperties) -> Command:
    netdev, current = pf.netdev or "", pf.properties.get(vf_id, VfProperties())
    parts = ip_syntax.set_parts(netdev, vf_id, wanted, current)
    argv = tuple(ip_syntax.set_argv(netdev, vf_id, wanted, current))
    return Command(argv, (pf.address, vf_id), tuple((given, tuple(words)) for given, words in parts))


def set_msix(pf: PfState, vf_id: int, vectors: int) -> Write:
    """Set a VF's number of MSI-X vectors; 0 is the device's default.

    The kernel's side is drivers/pci/iov.c, sriov_vf_msix_count_store.
    """
    return Write(f"{link(pf, vf_id)}/sriov_vf_msix_count", str(vectors))


def set_override(pf: PfState, vf_id: int, driver: str | None) -> Write:
    return Write(f"{link(pf, vf_id)}/driver_override", driver or NO_OVERRIDE)


def unbind(pf: PfState, vf_id: int) -> Write:
    device = link(pf, vf_id)
    return Write(f"{device}/driver/unbind", device=device, missing_ok=True, waits=True)


def unbind_all(pf: PfState, ids: Iterable[int]) -> tuple[Write, ...]:
    return tuple(unbind(pf, vf_id) for vf_id in sorted(ids))


def probe(pf: PfState, vf_id: int) -> Write:
    return Write(PROBE, device=link(pf, vf_id), probes=True)


def bind(pf: PfState, vf_id: int, driver: str, driver_override: str | None) -> tuple[Action, ...]:
    """Bind to ``driver``, and set ``driver_override`` afterwards.

    The override allows binding even with autoprobe off.
    """
    last = () if driver == driver_override else (set_override(pf, vf_id, driver_override),)
    return (set_override(pf, vf_id, driver), probe(pf, vf_id), *last)


def restore_all(pf: PfState) -> tuple[Action, ...]:
    """Restore the state ``pf`` on a PF just enabled again."""
    lost = eswitch.kept_by_nobody(pf.driver, pf.settings.eswitch_mode)
    given = {i: p.without(lost).without_defaults() for i, p in sorted(pf.properties.items())}
    actions = [action for vf_id, properties in given.items() for action in restore_properties(pf, vf_id, properties)]
    interface = INTERFACES[pf.interface]
    for batch in interface.batches(pf.present - interface.added_by_enabling(pf.present)):
        actions += interface.add(pf.address, batch)
    actions += [action for vf_id in sorted(pf.vfs) for action in restore_unbound(pf, [vf_id])]
    actions += _restore_vectors(pf)
    return (*actions, *(action for vf_id in sorted(pf.vfs) for action in _restore_driver(pf, vf_id)))


def restore(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    """Restore driver, override and MTU of a VF removed and added again."""
    return (*restore_unbound(pf, [vf_id]), *_restore_driver(pf, vf_id))


def restore_properties(pf: PfState, vf_id: int, given: VfProperties) -> list[Action]:
    return [set_properties(pf, vf_id, part) for part in given.by_command()] if pf.netdev else []


def restore_links(pf: PfState) -> tuple[Action, ...]:
    """Restore link states of VFs, which changing the eswitch mode resets.

    Only those that somebody has set.
    """
    lost = eswitch.kept_by_nobody(pf.driver, pf.settings.eswitch_mode)
    states = {i: VfProperties(link_state=p.without(lost).link_state) for i, p in sorted(pf.properties.items())}
    return tuple(
        action for i, state in states.items() for action in restore_properties(pf, i, state.without_defaults())
    )


def restore_unbound(pf: PfState, ids: Iterable[int]) -> tuple[Action, ...]:
    """Unbind VFs just added again, and restore their driver_override.

    Autoprobe may have bound a driver to them.
    """
    actions: list[Action] = []
    for vf_id in ids:
        override = vf_of(pf, vf_id).driver_override
        actions += (unbind(pf, vf_id), *((set_override(pf, vf_id, override),) if override else ()))
    return tuple(actions)


def restore_interface(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    """Restore known MTU and name of a VF bound again.

    Its driver comes with a new network interface.
    """
    before, folder = pf.devices.get(vf_id, VfDevice()), link(pf, vf_id)
    mtu = () if before.mtu is None else (SetMtu(folder, before.mtu),)
    return mtu if before.name is None else (*mtu, SetName(folder, before.name))


def _restore_driver(pf: PfState, vf_id: int) -> tuple[Action, ...]:
    vf = vf_of(pf, vf_id)
    return (*bind(pf, vf_id, vf.driver, vf.driver_override), *restore_interface(pf, vf_id)) if vf.driver else ()


def _restore_vectors(pf: PfState) -> list[Action]:
    """Restore known numbers of MSI-X vectors of unbound VFs, fewest first.

    All take them from one pool. Where the PF cannot share vectors out, nobody has changed them.
    """
    known = [(d.msix_vectors, vf_id) for vf_id, d in pf.devices.items() if d.msix_vectors is not None and pf.total_msix]
    return [set_msix(pf, vf_id, number_for(vectors, pf.driver)) for vectors, vf_id in sorted(known)]
