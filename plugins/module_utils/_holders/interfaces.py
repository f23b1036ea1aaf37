# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of VFs with network interfaces.

A bridge, bond or the like above one, another network namespace, or the host's own network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .._model.paths import NETDEVS
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import namespaces


def users(sysfs: Sysfs, run: Run, folders: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Holders, in words, of the interfaces in these ``folders``, by PCI address.

    An empty folder ``net`` shows that the interface is in another namespace: the kernel makes the folder with the first
    interface, shows each only where it belongs, and removes the folder with the last one (drivers/base/core.c,
    get_device_parent and cleanup_glue_dir). So namespaces are entered only for those.
    """
    found: dict[str, str] = {}
    elsewhere, alone = set(), {}
    for address, folder in ((address, folder) for address, some in folders.items() for folder in some):
        netdevs = sysfs.names(folder)
        if not netdevs:
            elsewhere.add(address)
        for netdev in netdevs:
            uppers = _uppers(sysfs, f"{folder}/{netdev}")
            if uppers:
                found.setdefault(address, _words(sysfs, uppers[0]))
            else:
                alone[netdev] = address
    if elsewhere:
        found.update(namespaces.find(sysfs, run, frozenset(elsewhere)))
    own = {netdev: address for netdev, address in alone.items() if address not in found}
    if own:
        from . import host_network  # late: most VFs of hypervisors have no interface here

        found.update({own[netdev]: words for netdev, words in host_network.users(run, own).items()})
    return found


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
