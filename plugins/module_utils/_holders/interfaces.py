# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of VFs with network interfaces: a bridge, bond or network namespace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .._model.paths import DEVICES, NETDEVS
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import namespaces


def users(sysfs: Sysfs, run: Run, addresses: Iterable[str]) -> dict[str, str]:
    """Holders, in words, of interfaces of PCI devices, by their address.

    An empty folder ``net`` shows that the interface is in another namespace: the kernel makes the folder with the first
    interface, shows each only where it belongs, and removes the folder with the last one (drivers/base/core.c,
    get_device_parent and cleanup_glue_dir). So namespaces are entered only for those.
    """
    found: dict[str, str] = {}
    elsewhere = set()
    for address in addresses:
        for folder in _folders(sysfs, address):
            netdevs = sysfs.names(folder)
            if not netdevs:
                elsewhere.add(address)
            for upper in (upper for netdev in netdevs for upper in _uppers(sysfs, f"{folder}/{netdev}")):
                found.setdefault(address, _words(sysfs, upper))
    if elsewhere:
        found.update(namespaces.find(sysfs, run, frozenset(elsewhere)))
    return found


def _folders(sysfs: Sysfs, address: str) -> Iterator[str]:
    """Folders of a PCI device's interfaces; those of virtio are below."""
    device = f"{DEVICES}/{address}"
    for name in sysfs.names(device):
        if name == "net":
            yield f"{device}/net"
        elif re.fullmatch(r"virtio\d+", name) and sysfs.exists(f"{device}/{name}/net"):
            yield f"{device}/{name}/net"


def _uppers(sysfs: Sysfs, netdev: str) -> list[str]:
    """Names of the interfaces above ``netdev``.

    net/core/dev.c: links ``upper_NAME`` and, to a master, ``master`` as well.
    """
    return [name[6:] for name in sysfs.names(netdev) if name.startswith("upper_")]


def _words(sysfs: Sysfs, name: str) -> str:
    """Words such as ``bridge br0``.

    By DEVTYPE of its uevent file, which Open vSwitch and some others lack.
    """
    path = f"{NETDEVS}/{name}/uevent"
    kind = re.search(r"^DEVTYPE=(\w+)$", sysfs.read(path) if sysfs.exists(path) else "", re.MULTILINE)
    return f"{kind.group(1) if kind else 'interface'} {name} above its network interface"
