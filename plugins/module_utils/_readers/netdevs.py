# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of a PCI device, wherever they are below it.

Linux, drivers/base/core.c, get_device_parent: below the folder ``net`` of the interface's parent. That is mostly the
PCI device; of virtio-net, and of drivers on the auxiliary bus, a device below it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .._model.errors import KernelError
from .._system.sysfs import Sysfs

_BELOW = re.compile(r"(?:virtio|vdpa)\d+|\w+\.\w+\.\d+")
"""Names of devices below that may be parents of interfaces.

drivers/virtio/virtio.c, drivers/vdpa/vdpa.c, drivers/base/auxiliary.c.
"""

_REPRESENTOR = r"(c\d+)?pf\d+"
"""Port names such as ``pf0vf3`` (net/devlink/port.c, __devlink_port_phys_port_name_get)."""


def folders(sysfs: Sysfs, device: str, files: Iterable[str] | None = None) -> list[str]:
    """Folders ``net`` of a device; ``files``: its names, where known.

    Devices below count where it has no interface itself: otherwise they are subfunctions.
    """
    names = sysfs.names(device) if files is None else files
    if "net" in names:
        return [f"{device}/net"]
    below = [f"{device}/{name}" for name in sorted(names) if _BELOW.fullmatch(name)]
    return [f"{one}/net" for one in below if "net" in sysfs.names(one)]


def paths(sysfs: Sysfs, device: str, files: Iterable[str] | None = None) -> list[str]:
    """Folders of the device's own interfaces in this namespace, by name.

    In switchdev mode those of VFs' representors are beside them, and are left out.
    """
    found = [f"{folder}/{name}" for folder in folders(sysfs, device, files) for name in sysfs.names(folder)]
    if len(found) < 2:
        return found
    return [path for path in found if not re.match(_REPRESENTOR, _port_name(sysfs, path))] or found[:1]


def names(sysfs: Sysfs, device: str, files: Iterable[str] | None = None) -> tuple[str, ...]:
    """Names of the interfaces at `paths`."""
    return tuple(path.rpartition("/")[2] for path in paths(sysfs, device, files))


def mac(sysfs: Sysfs, device: str, files: Iterable[str]) -> str:
    """MAC address of a device's first interface, empty without one.

    A bond gives its own to its ports, and shows theirs (drivers/net/bonding/bond_sysfs_slave.c, perm_hwaddr).
    """
    for path in paths(sysfs, device, files)[:1]:
        for name in ("bonding_slave/perm_hwaddr", "address"):
            try:
                return sysfs.read(f"{path}/{name}").strip().lower()
            except KernelError:
                continue
    return ""


def path_of(sysfs: Sysfs, device: str, netdev: str) -> str:
    """Folder of the device's interface ``netdev``, which may be gone or renamed."""
    usual = f"{device}/net/{netdev}"
    if sysfs.exists(usual):
        return usual
    found = [f"{folder}/{netdev}" for folder in folders(sysfs, device) if netdev in sysfs.names(folder)]
    return found[0] if found else usual


def _port_name(sysfs: Sysfs, path: str) -> str:
    """Port name of an interface, empty where its driver has none.

    Reading it is an error then (net/core/net-sysfs.c, phys_port_name_show).
    """
    try:
        return sysfs.read(f"{path}/phys_port_name")
    except KernelError:
        return ""
