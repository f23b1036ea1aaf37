# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI variables of the firmware and of boot loaders.

Sources: UEFI 2.10, chapters 3.1.3 (load options) and 10.3 (device paths); systemd's "Boot Loader Interface".
"""

from __future__ import annotations

import re
import struct

from .._system.sysfs import Sysfs
from .unknown import UnknownBootError

FOLDER = "/sys/firmware/efi"
VARIABLES = f"{FOLDER}/efivars"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
MAX_BYTES = 1 << 16


def is_efi(sysfs: Sysfs) -> bool:
    return sysfs.exists(FOLDER)


def variable(sysfs: Sysfs, name: str, vendor: str = LOADER) -> bytes | None:
    """The value of a variable, without its attributes; None without it."""
    path = f"{VARIABLES}/{name}-{vendor}"
    if not sysfs.exists(path):
        return None
    return sysfs.read_bytes(path, MAX_BYTES)[4:]


def text(sysfs: Sysfs, name: str) -> str | None:
    """A text of the boot loader interface, None without it."""
    data = variable(sysfs, name)
    return None if data is None else data.decode("utf-16-le", errors="replace").split("\0")[0]


def booted_file(sysfs: Sysfs) -> str:
    """The program that the firmware started this time, such as /EFI/debian/shimx64.efi.

    Raises `UnknownBootError` where the firmware does not say so.
    """
    current = variable(sysfs, "BootCurrent", GLOBAL)
    if current is None or len(current) < 2:
        raise UnknownBootError(f"{VARIABLES} has no BootCurrent: mount efivarfs, or boot by an entry of the firmware")
    name = f"Boot{int.from_bytes(current[:2], 'little'):04X}"
    option = variable(sysfs, name, GLOBAL)
    found = None if option is None else file_of(option)
    if found is None:
        raise UnknownBootError(f"{name}, which the firmware booted, names no file")
    return found


def file_of(option: bytes) -> str | None:
    """The file of a load option, with slashes.

    None where it names none.
    """
    if len(option) < 8:
        return None
    (length,) = struct.unpack_from("<H", option, 4)
    at = 6
    while option[at : at + 2] not in (b"\0\0", b"\0", b""):
        at += 2
    nodes, parts = option[at + 2 : at + 2 + length], []
    while len(nodes) >= 4:
        kind, sub, size = struct.unpack_from("<BBH", nodes)
        if size < 4 or (kind, sub) == (0x7F, 0xFF):
            break
        if (kind, sub) == (4, 4):
            parts.append(nodes[4:size].decode("utf-16-le", errors="replace").split("\0")[0])
        nodes = nodes[size:]
    path = "/".join(parts).replace("\\", "/")
    return re.sub(r"/+", "/", "/" + path) if parts else None
