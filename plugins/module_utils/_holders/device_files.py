# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that have a device file of a PCI device open.

Whatever its driver offers: VFIO, UIO, RDMA verbs, vDPA, a clock, a render node, a controller of NVMe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from . import processes
from .device_tree import Tree

_GROUPS = ("/sys/class/vfio/{}", "/sys/class/vfio/noiommu-{}")
"""Folders of the node of an IOMMU group (drivers/vfio/group.c)."""


def users(sysfs: Sysfs, trees: Mapping[str, Tree]) -> dict[str, str]:
    """Holders, in words, by PCI address.

    Nodes are compared by number, as drivers/base/core.c shows it in the file ``dev``: a process may have its /dev
    elsewhere, and anybody can give a file the name of a node.
    """
    wanted: dict[str, list[tuple[str, str]]] = {}
    for address, tree in trees.items():
        for folder in (*tree.nodes, *(place.format(group) for group in sorted(tree.groups) for place in _GROUPS)):
            number = _number(sysfs, folder)
            if number:
                wanted.setdefault(number, []).append((address, folder))
    found: dict[str, str] = {}
    for number, process in processes.users(sysfs, wanted, frozenset(trees)).items():
        for address, folder in wanted.get(number, [(number, "")]):
            found.setdefault(address, f"{process}{_words(sysfs, folder)}")
    return found


def _number(sysfs: Sysfs, folder: str) -> str:
    """Number of a character device, empty for any other."""
    if not sysfs.exists(f"{folder}/dev") or sysfs.link(f"{folder}/subsystem") == "block":
        return ""
    try:
        return f"c {sysfs.read(f'{folder}/dev')}"
    except KernelError:
        return ""


def _words(sysfs: Sysfs, folder: str) -> str:
    """What is open, empty for VFIO, which VMs have open."""
    if not folder:
        return ", which has its registers open"
    if "/vfio" in folder:
        return ""
    try:
        named = re.search(r"^DEVNAME=(\S+)$", sysfs.read(f"{folder}/uevent"), re.MULTILINE)
    except KernelError:
        named = None
    return f", which has /dev/{named.group(1) if named else folder.rpartition('/')[2]} open"
