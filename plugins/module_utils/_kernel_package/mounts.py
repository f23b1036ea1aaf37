# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the mounts of /etc/fstab rest on.

A boot without one of them ends in emergency mode. Root comes with the initrd (`stack`); these are mounted later, by the
kernel's own modules. Those with `nofail` or `noauto` hold up no boot (systemd.mount(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from .stack import MAX_DEPTH, MOUNTS, Stack, block

TABLE = "/etc/fstab"
MODULES = {"ext2": "ext4", "ext3": "ext4", "nfs4": "nfsv4", "fuseblk": "fuse"}
"""Modules of file systems whose names are others."""
CHARSETS = {"codepage=": "nls_cp", "iocharset=": "nls_"}
"""Options of mounted FAT, and modules that they need (fs/nls/Kconfig)."""


def read(sysfs: Sysfs) -> Stack:
    """Read what mounted file systems of the table rest on."""
    found, wanted = Stack(), set(_places(_text(sysfs, TABLE)))
    for place, number, kind, options in _mounted(_text(sysfs, MOUNTS)):
        if place not in wanted:
            continue
        user = f"the file system of {place}"
        found.modules.setdefault(MODULES.get(kind, kind).replace("-", "_"), user)
        for option in options.split(","):
            for begin, module in CHARSETS.items():
                if option.startswith(begin):
                    found.modules.setdefault(module + option[len(begin) :].replace("-", "_"), user)
        name = sysfs.link(f"/sys/dev/block/{number}")
        if name:
            block(sysfs, name, found, MAX_DEPTH)
    return found


def _places(text: str) -> Iterator[str]:
    """Mount points that a boot waits for."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or words[0].startswith("#") or {"nofail", "noauto"} & set(words[3].split(",")):
            continue
        if words[1].startswith("/") and words[1] != "/":
            yield _plain(words[1])


def _mounted(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Mount point, number of the device, kind and options (proc(5), mountinfo)."""
    for line in text.splitlines():
        words, _dash, rest = line.partition(" - ")
        fields, after = words.split(), rest.split()
        if len(fields) > 4 and len(after) > 2:
            yield _plain(fields[4]), fields[2], after[0], after[2]


def _plain(text: str) -> str:
    """A path whose blanks are octal, as both files write them."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
