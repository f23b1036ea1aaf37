# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file system that a boot loader reads its files from.

It is described as the host has it mounted.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from .._system.sysfs import Sysfs
from .unknown import UnknownBootError

MOUNTS = "/proc/self/mountinfo"
AUTOMOUNTED = ("/boot", "/boot/efi", "/efi")
"""Where systemd mounts at the first use, and unmounts what is idle.

By `x-systemd.automount`, or without any line of /etc/fstab (systemd-gpt-auto-generator(8)).
"""
WRITABLE = ("ext2", "ext3", "ext4", "xfs", "vfat")
"""File systems whose blocks GRUB can write again.

`save_env` writes to a list of plain sectors.
"""
PLAIN_DISK = re.compile(r"(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+)\d*|nvme\d+n\d+(p\d+)?|mmcblk\d+(p\d+)?")
"""Names of disks and partitions that firmware writes by itself.

No LVM, RAID or encryption is between.
"""


@dataclass(frozen=True)
class Volume:
    """A mounted file system.

    ``inside``: path of the mount point within the file system; other than / for subvolumes and bind mounts.
    """

    mount_point: str
    inside: str
    kind: str
    source: str
    device: str
    uuids: tuple[str, ...]

    def to_loader(self, path: str) -> str:
        """The path of a file of the host within the file system."""
        below = path if self.mount_point == "/" else path[len(self.mount_point) :]
        return (self.inside.rstrip("/") + below) or "/"

    def to_host(self, path: str) -> str | None:
        """The host's path of a file.

        None for one that the mount does not show.
        """
        inside = self.inside.rstrip("/")
        if not path.startswith(inside + "/"):
            return None
        return os.path.normpath(self.mount_point.rstrip("/") + path[len(inside) :])

    def not_writable(self) -> str | None:
        """Why GRUB cannot write to it, None where it can."""
        if self.kind not in WRITABLE:
            return f"GRUB cannot write to {self.kind} ({self.mount_point})"
        if not PLAIN_DISK.fullmatch(self.device):
            return f"GRUB cannot write to {self.source} ({self.device}), as it is no plain partition"
        return None


def volume_of(sysfs: Sysfs, path: str) -> Volume:
    """The file system that holds ``path``, an absolute path without links."""
    best: list[str] = []
    for words in _mounts(sysfs):
        place = _plain(words[4])
        if path == place or path.startswith(place.rstrip("/") + "/"):
            best = words if not best or len(place) >= len(_plain(best[4])) else best
    if not best:
        raise UnknownBootError(f"no mount of {MOUNTS} holds {path}")
    at = best.index("-")
    kind, source = best[at + 1], _plain(best[at + 2])
    device = _device(sysfs, best[2], source)
    inside = _plain(best[3])
    if kind == "zfs":
        inside = "/" + source.partition("/")[2] + "@" + inside
    return Volume(_plain(best[4]), inside, kind, source, device, _uuids(sysfs, device))


def require_mounted(sysfs: Sysfs, *places: str) -> None:
    """Refuse where /etc/fstab mounts one of ``places`` and it is not mounted.

    What is in the folder below is not what the boot loader reads.
    """
    rows = _mounts(sysfs)
    mounted = {_plain(words[4]) for words in rows if not _is_automount(words)}
    for place in places:
        if place not in mounted and any(_plain(words[4]) == place for words in rows):
            raise UnknownBootError(f"{place} is mounted at its first use, and using it mounted nothing: mount {place}")
    table = sysfs.read("/etc/fstab") if sysfs.exists("/etc/fstab") else ""
    for line in table.splitlines():
        words = line.split()
        if len(words) > 1 and not words[0].startswith("#") and words[1] in places and words[1] not in mounted:
            raise UnknownBootError(f"/etc/fstab has {words[1]}, which is not mounted: mount {words[1]}")


def mount_of(sysfs: Sysfs, device: str) -> str | None:
    """Where a partition is mounted with its root, or None.

    ``device`` is the kernel's name.
    """
    for words in _mounts(sysfs):
        if words[3] == "/" and sysfs.link(f"/sys/dev/block/{words[2]}") == device:
            return _plain(words[4])
    return None


def is_read_only(sysfs: Sysfs, place: str) -> bool:
    """Whether a mount point, the last mount there, is read-only."""
    found = [words for words in _mounts(sysfs) if _plain(words[4]) == place]
    return bool(found) and any("ro" in words[at].split(",") for words in found[-1:] for at in (5, -1))


def _mounts(sysfs: Sysfs) -> list[list[str]]:
    """Rows of mountinfo, after a use of what is mounted on demand.

    A boot folder that was idle is unmounted, and its automount stands alone. One may be within another.
    """
    rows = _rows(sysfs)
    for place in AUTOMOUNTED:
        found = [words for words in rows if _plain(words[4]) == place]
        if found and _is_automount(found[-1]):
            os.path.exists(sysfs.real(f"{place}/."))  # the folder's own name alone would not mount it
            rows = _rows(sysfs)
    return rows


def _rows(sysfs: Sysfs) -> list[list[str]]:
    return [line.split() for line in sysfs.read(MOUNTS).splitlines()]


def _is_automount(words: list[str]) -> bool:
    return words[words.index("-") + 1] == "autofs"


def _plain(text: str) -> str:
    """A path of mountinfo, where blanks are octal (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _device(sysfs: Sysfs, number: str, source: str) -> str:
    """The kernel's name of a mount's block device.

    Btrfs has a number of its own.
    """
    name = sysfs.link(f"/sys/dev/block/{number}")
    if name is not None:
        return name
    try:
        return os.path.basename(os.path.realpath(sysfs.real(source))) if source.startswith("/dev/") else source
    except OSError:
        return source


def _uuids(sysfs: Sysfs, device: str) -> tuple[str, ...]:
    folder = "/dev/disk/by-uuid"
    return tuple(name for name in sysfs.names(folder) if sysfs.link(f"{folder}/{name}") == device)
