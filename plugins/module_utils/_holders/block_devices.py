# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of NVMe VFs: mounts, swap, processes, devices above theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES
from .._system.sysfs import Sysfs
from . import mountinfo, processes

SWAPS = "/proc/swaps"
_PATH = re.compile(r"nvme(\d+)c\d+n(\d+)")
"""One path of a multipath namespace nvmeXnY (drivers/nvme/host/multipath.c)."""


@dataclass(frozen=True)
class Mount:
    """A mount of a block device in some mount namespace.

    ``device``: MAJOR:MINOR. ``source``: what was mounted. ``pid``: a process that sees it, 0 for our own namespace.
    """

    device: str
    source: str
    point: str
    pid: int = 0


def users(sysfs: Sysfs, addresses: Iterable[str]) -> dict[str, str]:
    """Holders, in words, of block devices of PCI devices, by their address."""
    disks = devices(sysfs, frozenset(addresses))
    if not disks:
        return {}
    found: dict[str, str] = {}
    mounts, swaps = list(read_mounts(sysfs)), read_swaps(sysfs)
    for name, address in disks.items():
        for words in _uses(sysfs, name, mounts, swaps):
            found.setdefault(address, words)
    free = {name: address for name, address in disks.items() if address not in found}
    numbers = {f"b {sysfs.read(f'{BLOCK_DEVICES}/{name}/dev')}": name for name in free}
    for number, process in processes.users(sysfs, numbers).items():
        name = numbers[number]
        found.setdefault(free[name], f"{process}, which has /dev/{name} open")
    for name, address in free.items():
        if address not in found and sysfs.claimed(f"/dev/{name}"):
            found[address] = f"something that has claimed /dev/{name} for itself"
    return found


def devices(sysfs: Sysfs, addresses: frozenset[str]) -> dict[str, str]:
    """Block devices, disks and partitions, of ``addresses``: addresses by name."""
    if not addresses:
        return {}
    links = {name: (sysfs.target(f"{BLOCK_DEVICES}/{name}") or "").split("/") for name in sysfs.names(BLOCK_DEVICES)}
    found = {name: part for name, parts in links.items() for part in parts if part in addresses}
    heads = {_PATH.sub(r"nvme\1n\2", name): address for name, address in found.items() if _PATH.fullmatch(name)}
    below = {name: heads[part] for name, parts in links.items() for part in parts if part in heads}
    return {**{name: address for name, address in found.items() if not _PATH.fullmatch(name)}, **below}


def read_mounts(sysfs: Sysfs) -> Iterator[Mount]:
    """Mounts of all mount namespaces, ours first (proc(5): mountinfo)."""
    own = sysfs.target("/proc/self/ns/mnt")
    others = [pid for target, pid in processes.namespaces(sysfs, "mnt").items() if target != own]
    for pid in (0, *others):
        path = f"/proc/{pid or 'self'}/mountinfo"
        try:
            text = sysfs.read(path)
        except KernelError:
            if pid == 0:
                raise
            continue  # the process has ended
        for row in mountinfo.rows(path, text):
            yield Mount(row.device, row.source, row.point, pid)


def _uses(sysfs: Sysfs, name: str, mounts: list[Mount], swaps: set[str]) -> Iterator[str]:
    folder = f"{BLOCK_DEVICES}/{name}"
    number = sysfs.read(f"{folder}/dev")
    for mount in mounts:  # btrfs shows a device number of its own, so the source counts too
        if mount.device == number or mount.source == f"/dev/{name}":
            where = f" in the mount namespace of {processes.describe(sysfs, mount.pid)}" if mount.pid else ""
            yield f"mount point {mount.point}{where} (/dev/{name})"
    if f"/dev/{name}" in swaps:
        yield f"swap space /dev/{name}"
    for holder in sysfs.names(f"{folder}/holders"):
        label = f"{BLOCK_DEVICES}/{holder}/dm/name"
        called = f" ({sysfs.read(label)})" if sysfs.exists(label) else ""
        yield f"block device {holder}{called}, which /dev/{name} is part of"


def read_swaps(sysfs: Sysfs) -> set[str]:
    """Paths of the swap space in use, devices and files (proc(5))."""
    lines = sysfs.read(SWAPS).split("\n") if sysfs.exists(SWAPS) else []
    return {_unescape(line.split(" ")[0]) for line in lines[1:]}


def _unescape(text: str) -> str:
    """Decode blanks, tabs, newlines and backslashes, which are octal there.

    fs/proc_namespace.c, mangle.
    """
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
