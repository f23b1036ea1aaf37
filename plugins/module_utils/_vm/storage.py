# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path lies: mount, file system's UUID, block device.

Device numbers move between kernels, so nothing here rests on them for long.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._holders import mountinfo
from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES
from .._system.sysfs import Sysfs

MOUNTS, UUIDS, NUMBERS = "/proc/self/mountinfo", "/dev/disk/by-uuid", "/sys/dev/block"
LOCAL, SHARED, MEMORY, UNKNOWN = "local", "shared", "memory", "unknown"
SHARED_KINDS = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ceph|glusterfs|fuse(\..*)?|gfs2|ocfs2|9p|virtiofs|lustre|gpfs|beegfs|afs|orangefs|coda"
)
"""File systems that other hosts may write to.

A FUSE may be any.
"""
MEMORY_KINDS = re.compile(r"tmpfs|ramfs|rootfs")
"""File systems that a kexec empties."""
SHARED_DISKS = re.compile(r"/(rbd|nbd|drbd)\d+(/|$)|/session\d+/|/rport-")
"""Paths in /sys of disks on a network.

rbd, nbd, drbd, iSCSI and Fibre Channel.
"""
MEMORY_DISKS = re.compile(r"/z?ram\d+(/|$)")
LOOPS = re.compile(r"/(loop\d+)(/|$)")
FABRICS = ("tcp", "rdma", "fc", "loop")
"""Transports of NVMe over Fabrics (/sys/class/nvme/nvmeX/transport)."""
DEEPEST = 20
"""Block devices on top of each other."""


@dataclass(frozen=True)
class Place:
    """The file system of a path.

    ``kind``: as in mountinfo; ``identity``: UUID, or the source of a network file system, empty when unknown;
    ``storage``: local, shared or memory.
    """

    kind: str
    identity: str
    storage: str


def of_path(sysfs: Sysfs, path: str) -> Place:
    """Find the file system of an existing path, its links followed."""
    number, kind, source = _mount(sysfs, inside(sysfs, path))
    device = _device(sysfs, number, source)
    return Place(kind, _identity(sysfs, device, source), _storage(sysfs, kind, device))


def of_device(sysfs: Sysfs, number: str) -> str:
    """Storage of a block device, by its MAJOR:MINOR: shared, memory or unknown.

    Others may reach a disk in a shared shelf too. A loop device has that of its file.
    """
    paths = list(_below(sysfs, number))
    files = {_loop_storage(sysfs, path) for path in paths}
    if MEMORY in files or any(MEMORY_DISKS.search(path) for path in paths):
        return MEMORY
    return SHARED if SHARED in files or any(_is_shared(sysfs, path) for path in paths) else UNKNOWN


def layers(sysfs: Sysfs, path: str) -> list[str]:
    """Kernel's names of all block devices that a path needs.

    A block device itself, or what is below a file; disks of partitions, and what is below the file of a loop device,
    too.
    """
    found, todo, seen = dict[str, None](), [path], set[str]()
    while todo:
        file = todo.pop()
        seen.add(file)
        for place in (one for number in _numbers(sysfs, file) for one in _below(sysfs, number)):
            disk = os.path.basename(os.path.dirname(place))
            found[os.path.basename(place)] = None
            if sysfs.exists(f"{BLOCK_DEVICES}/{disk}/dev"):
                found[disk] = None
            behind = _loop_file(sysfs, place)
            todo += [behind] if behind and behind not in seen else []
    return list(found)


def is_shared(sysfs: Sysfs, path: str) -> bool:
    """Whether a path is on a file system of other hosts.

    By its name alone: nothing is asked of it, as a server may not answer.
    """
    return SHARED_KINDS.fullmatch(_mount(sysfs, path)[1]) is not None


def devices_of(sysfs: Sysfs, path: str) -> list[str]:
    """Kernel's names of all block devices below a path's file system.

    Of every member of a btrfs; layers (LVM, RAID, dm-crypt) are followed down to the disks. None for a file system
    without a disk.
    """
    below = (found for number in _of_file(sysfs, path) for found in _below(sysfs, number))
    return list(dict.fromkeys(os.path.basename(found) for found in below))


def _numbers(sysfs: Sysfs, path: str) -> list[str]:
    """MAJOR:MINOR of a block device, or of those below a file."""
    node = sysfs.device_number(path) or ""
    return [node[2:]] if node.startswith("b ") else _of_file(sysfs, path)


def _of_file(sysfs: Sysfs, path: str) -> list[str]:
    number, _kind, source = _mount(sysfs, inside(sysfs, path))
    first = _device(sysfs, number, source)
    return [first, *_members(sysfs, first)] if first else []


def _members(sysfs: Sysfs, number: str) -> list[str]:
    """MAJOR:MINOR of all members of a device's btrfs."""
    for uuid in sysfs.names("/sys/fs/btrfs"):
        folder = f"/sys/fs/btrfs/{uuid}/devices"
        found = [_read(sysfs, f"{folder}/{name}/dev") for name in sysfs.names(folder)]
        if number in found:
            return found
    return []


def inside(sysfs: Sysfs, path: str) -> str:
    """A path with its links followed, as the host sees it."""
    return os.path.realpath(sysfs.real(path))[len(os.path.realpath(sysfs.real("/")).rstrip("/")) :] or "/"


def _mount(sysfs: Sysfs, path: str) -> tuple[str, str, str]:
    """(MAJOR:MINOR, kind, source) of the last mount around a path."""
    found, longest = ("", "unknown", ""), -1
    for mount in mountinfo.rows(MOUNTS, sysfs.read(MOUNTS)) if sysfs.exists(MOUNTS) else []:
        point = mount.point.rstrip("/")
        if f"{path}/".startswith(f"{point}/") and len(point) >= longest:
            found, longest = (mount.device, mount.kind, mount.source), len(point)
    return found


def _device(sysfs: Sysfs, number: str, source: str) -> str:
    """MAJOR:MINOR of the disk below a file system, empty without one.

    btrfs shows a number of its own: the source has the disk.
    """
    if sysfs.exists(f"{NUMBERS}/{number}"):
        return number
    name = _node(sysfs, source) if source.startswith("/dev/") else ""
    return _read(sysfs, f"{BLOCK_DEVICES}/{name}/dev") if name else ""


def _node(sysfs: Sysfs, path: str) -> str:
    """Kernel's name of a device node, behind its link."""
    try:
        return sysfs.link(path) or os.path.basename(path)
    except KernelError:
        return os.path.basename(path)


def _identity(sysfs: Sysfs, device: str, source: str) -> str:
    for uuid in sysfs.names(UUIDS) if device else []:
        if _read(sysfs, f"{BLOCK_DEVICES}/{_node(sysfs, f'{UUIDS}/{uuid}')}/dev") == device:
            return uuid
    return "" if device or source.startswith("/dev/") else source


def _storage(sysfs: Sysfs, kind: str, device: str) -> str:
    if MEMORY_KINDS.fullmatch(kind):
        return MEMORY
    if SHARED_KINDS.fullmatch(kind):
        return SHARED
    below = of_device(sysfs, device) if device else UNKNOWN
    return LOCAL if below == UNKNOWN else below


def _below(sysfs: Sysfs, number: str, depth: int = 0) -> Iterator[str]:
    """Paths in /sys of a block device and those below it."""
    path = sysfs.target(f"{NUMBERS}/{number}")
    if path is None or depth > DEEPEST:
        return
    yield path
    for folder in (path, os.path.dirname(path)):  # a partition's are its disk's
        slaves = f"{BLOCK_DEVICES}/{os.path.basename(folder)}/slaves"
        for name in sysfs.names(slaves) if sysfs.exists(slaves) else []:
            yield from _below(sysfs, _read(sysfs, f"{BLOCK_DEVICES}/{name}/dev"), depth + 1)


def _loop_storage(sysfs: Sysfs, path: str) -> str:
    """Storage of the file behind a loop device, unknown for others."""
    file = _loop_file(sysfs, path)
    return of_path(sysfs, file).storage if file else UNKNOWN


def _loop_file(sysfs: Sysfs, path: str) -> str:
    """The file behind a loop device, empty for others."""
    name = LOOPS.search(path)
    return _read(sysfs, f"{BLOCK_DEVICES}/{name[1]}/loop/backing_file") if name else ""


def _is_shared(sysfs: Sysfs, path: str) -> bool:
    if SHARED_DISKS.search(path):
        return True
    name = re.search(r"/(nvme\d+)(c\d+)?n\d+(/|$)", path)
    subsystem = re.search(r"/(nvme-subsys\d+)/", path)
    controllers = [name[1]] if name else []
    if subsystem:  # multipath: the namespace is below the subsystem, its controllers beside it
        controllers = [one for one in sysfs.names(f"/sys/class/nvme-subsystem/{subsystem[1]}") if one[4:].isdigit()]
    return any(_read(sysfs, f"/sys/class/nvme/{one}/transport") in FABRICS for one in controllers)


def _read(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
