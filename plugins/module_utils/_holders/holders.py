# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of VFs: processes, VMs, namespaces, mounts, interfaces above them.

Each kind has a file of its own, imported only when it is searched for: a live update never does, and the node program
is compiled as it starts.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .._model.errors import KernelError, RefusedError
from .._model.state import PfState, VfState
from .._readers.pfs import read_vfs
from .._system.process import Run
from .._system.sysfs import Sysfs

if TYPE_CHECKING:
    from .device_tree import Tree


@dataclass(frozen=True)
class Holder:
    """A holder of a VF, named by ``text``.

    ``later``: a domain that is only defined: it needs the VF at its next start.
    """

    text: str
    later: bool = False

    def __str__(self) -> str:
        return self.text


def read_holders(
    sysfs: Sysfs, run: Run, vfs: Mapping[str, tuple[PfState, Iterable[int]]], *, lenient: bool = False
) -> dict[tuple[str, int], Holder]:
    """The most certain holder of each VF in use among ``vfs``.

    By PF address and VF id; ``vfs`` are by PF address, and absent ones have no holder. ``lenient``: what may not be
    read, or cannot be understood, counts as nothing instead of being an error.
    """
    keys: dict[str, tuple[str, int]] = {}
    found = _Vfs(sysfs, run, {}, {})
    for pf_address, (pf, ids) in vfs.items():
        present = frozenset(ids) & pf.present
        known = {**pf.vfs, **read_vfs(sysfs, pf, present - set(pf.vfs)).vfs}
        for vf_id in present & set(known):
            address = known[vf_id].address
            found.vfs[address], keys[address] = known[vf_id], (pf_address, vf_id)
            found.pf_netdevs[address] = frozenset(pf.netdevs)
    holders: dict[str, Holder] = {}
    for source in (_processes, _domains, _interfaces, _disks):
        for address, holder in _given(source, found, lenient).items():
            if address not in holders or holders[address].later:
                holders[address] = holder
    return {keys[address]: holder for address, holder in holders.items()}


@dataclass(frozen=True)
class _Vfs:
    """VFs to examine, and interfaces of their PFs, by the VF's address."""

    sysfs: Sysfs
    run: Run
    vfs: dict[str, VfState]
    pf_netdevs: dict[str, frozenset[str]]

    @cached_property
    def trees(self) -> dict[str, Tree]:
        """What comes and goes with each VF."""
        from . import device_tree

        return {address: device_tree.read(self.sysfs, address) for address in self.vfs}

    def netdevs(self, address: str) -> frozenset[str]:
        """Names of a VF's interfaces in this namespace."""
        return frozenset(name for folder in self.trees[address].nets for name in self.sysfs.names(folder))

    def bound(self, vfio: bool) -> dict[str, VfState]:
        """VFs bound to a driver for VFIO, or to another one."""
        return {address: vf for address, vf in self.vfs.items() if vf.driver and ("vfio" in vf.driver) is vfio}


def _given(source: Callable[[_Vfs], dict[str, Holder]], vfs: _Vfs, lenient: bool) -> dict[str, Holder]:
    try:
        return source(vfs)
    except KernelError as error:
        if not lenient or error.errno not in (errno.EACCES, errno.ENOENT, errno.ENODEV):
            raise
    except RefusedError:
        if not lenient:
            raise
    return {}


def _processes(vfs: _Vfs) -> dict[str, Holder]:
    """Processes that have a device file of a VF open."""
    from . import device_files

    users = device_files.users(vfs.sysfs, vfs.trees)
    return {address: Holder(text) for address, text in users.items()}


def _domains(vfs: _Vfs) -> dict[str, Holder]:
    from . import domains, vm_folders

    libvirt = domains.read(vfs.sysfs, vm_folders.read(vfs.sysfs)) if vfs.vfs else domains.Libvirt()
    users = {a: libvirt.user(a, vfs.netdevs(a), vfs.pf_netdevs[a]) for a in vfs.vfs}
    return {address: Holder(user[0], later=not user[1]) for address, user in users.items() if user}


def _interfaces(vfs: _Vfs) -> dict[str, Holder]:
    from . import interfaces

    users = interfaces.users(vfs.sysfs, vfs.run, {a: vfs.trees[a].nets for a in vfs.bound(vfio=False)})
    return {address: Holder(text) for address, text in users.items()}


def _disks(vfs: _Vfs) -> dict[str, Holder]:
    from . import block_devices

    users = block_devices.users(vfs.sysfs, vfs.bound(vfio=False))
    return {address: Holder(text) for address, text in users.items()}
