# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as GRUB sees them, read through the host's mounts."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from dataclasses import dataclass

from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from .grub_state import Text
from .volume import Volume

BOOT = "boot"
"""Name of the device that GRUB has its folder on.

In place of one of the firmware's.
"""
DISK = re.compile(r"(hd|vd|lvm|md|cryptouuid|mduuid)[^()]*")
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class HostFiles:
    """``volume`` has GRUB's folder and the kernels."""

    sysfs: Sysfs
    volume: Volume

    def to_host(self, path: str, root: Text) -> str | None:
        """The host's path of ``path``.

        None for one of another file system, or where that is not known. A device that the firmware numbers (hd0,gpt2)
        is taken for this one: `search` comes after it.
        """
        match = re.match(r"\(([^()]*)\)(.*)", path)
        device, inside = (match.group(1), match.group(2)) if match else (root, path)
        if device is None or not inside.startswith("/"):
            return None
        device = device.strip("()")  # `set root=(hd1)` means the same
        by, _colon, mark = device.partition(":")
        own = device == BOOT or (by in ("fs-uuid", "u") and (mark in self.volume.uuids or not self.volume.uuids))
        if not own and DISK.fullmatch(device) is None:
            return None
        return self.volume.to_host(os.path.normpath(inside))

    def present(self, kind: str, path: str, root: Text) -> bool | None:
        """The answer to -e, -f, -d or -s."""
        host = self.to_host(path, root)
        if host is None:
            return None
        try:
            found = os.stat(self.sysfs.real(host))
        except OSError:
            return False
        if kind == "-d":
            return stat.S_ISDIR(found.st_mode)
        return kind == "-e" or (stat.S_ISREG(found.st_mode) and (kind == "-f" or found.st_size > 0))

    def glob(self, pattern: str, root: Text) -> list[str] | None:
        """Paths that fit a pattern in its last part alone.

        None where the folder is not known.
        """
        folder, _slash, last = pattern.rpartition("/")
        host = self.to_host(folder + "/", root)
        if host is None or "*" in folder or "?" in folder:
            return None
        return [f"{folder}/{name}" for name in self.sysfs.names(host) if fnmatch.fnmatchcase(name, last)]

    def text(self, path: str, root: Text) -> str | None:
        """The text of a file that is read on.

        None where it is not known.
        """
        host = self.to_host(path, root)
        try:
            return None if host is None else self.sysfs.read_bytes(host, MAX_BYTES).decode(errors="surrogateescape")
        except KernelError:
            return None
