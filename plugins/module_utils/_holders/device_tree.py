# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of /sys that comes and goes with a PCI device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .._model.errors import KernelError
from .._model.paths import DEVICES
from .._system.sysfs import Sysfs

_BARE = ("power", "msi_irqs", "queues", "statistics", "link")
"""Folders without devices below them."""


class Tree(NamedTuple):
    """Paths below a PCI device: folders ``net``, and those of device nodes.

    ``groups``: IOMMU groups of the device, and of mediated ones below it.
    """

    nets: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()


def read(sysfs: Sysfs, address: str) -> Tree:
    """Walk through the device's folder; what goes away meanwhile is left out."""
    nets, nodes, groups = [], [], set()
    for folder, names in _walk(sysfs, f"{DEVICES}/{address}"):
        if names.get("net"):
            nets.append(f"{folder}/net")
        if "dev" in names:
            nodes.append(folder)
        if "iommu_group" in names and (group := sysfs.link(f"{folder}/iommu_group")):
            groups.add(group)
    return Tree(tuple(nets), tuple(nodes), frozenset(groups))


def _walk(sysfs: Sysfs, folder: str) -> Iterator[tuple[str, dict[str, bool]]]:
    try:
        names = sysfs.entries(folder)
    except KernelError:
        return
    yield folder, names
    for name in sorted(names):
        if names[name] and name not in _BARE and name != "net":
            yield from _walk(sysfs, f"{folder}/{name}")
