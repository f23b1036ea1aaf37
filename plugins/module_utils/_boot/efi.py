# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI variables of the firmware and of boot loaders.

Sources: UEFI 2.10, chapter 3.3 (globally defined variables); systemd's "Boot Loader Interface"; Linux,
Documentation/filesystems/efivarfs.rst.
"""

from __future__ import annotations

import os
import struct

from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from . import efi_options
from .efi_options import Option
from .unknown import UnknownBootError

FOLDER = "/sys/firmware/efi"
VARIABLES = f"{FOLDER}/efivars"
GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
MAX_BYTES = 1 << 16
NON_VOLATILE, BOOT_SERVICE, RUNTIME = 1, 2, 4


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


def numbers(sysfs: Sysfs, name: str) -> list[int]:
    """Numbers of load options in a variable: BootOrder, BootNext, BootCurrent."""
    data = variable(sysfs, name, GLOBAL) or b""
    return [number for (number,) in struct.iter_unpack("<H", data[: len(data) // 2 * 2])]


def option(sysfs: Sysfs, number: int) -> Option | None:
    """A load option, None where there is none of that number."""
    data = variable(sysfs, f"Boot{number:04X}", GLOBAL)
    return None if data is None else efi_options.parse(number, data)


def booted(sysfs: Sysfs) -> Option:
    """The load option that the firmware started, with its file.

    One without a file starts what is at the path for that, on its partition or on that of the boot loader, which some
    say. Raises `UnknownBootError` where nobody says so.
    """
    current = numbers(sysfs, "BootCurrent")
    if not current:
        raise UnknownBootError(f"{VARIABLES} has no BootCurrent: mount efivarfs, or boot by an entry of the firmware")
    found = option(sysfs, current[0])
    if found is not None and found.file is None:
        partition = found.partition or (text(sysfs, "LoaderDevicePartUUID") or "").lower()
        found = found._replace(file=efi_options.REMOVABLE, partition=partition) if partition else None
    if found is None:
        raise UnknownBootError(
            f"Boot{current[0]:04X}, which the firmware booted, names neither a file nor a partition: install the boot "
            "loader again, so that it has an entry (grub-install, bootctl install), and boot by that"
        )
    return found


def booted_file(sysfs: Sysfs) -> str:
    """The program that the firmware started, such as /EFI/debian/shimx64.efi.

    Raises `UnknownBootError` where the firmware does not say so.
    """
    return booted(sysfs).file or ""


def write(sysfs: Sysfs, name: str, value: bytes) -> None:
    """Write a variable of the firmware, with one write(2).

    Not truncated before: an empty file of efivarfs is a deleted variable (fs/efivarfs/file.c). Raises `KernelError`
    where the firmware does not take it.
    """
    path = f"{VARIABLES}/{name}-{GLOBAL}"
    data = struct.pack("<I", NON_VOLATILE | BOOT_SERVICE | RUNTIME) + value
    try:
        handle = os.open(sysfs.real(path), os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error


def delete(sysfs: Sysfs, name: str) -> None:
    """Delete a variable of the firmware, if it exists."""
    path = f"{VARIABLES}/{name}-{GLOBAL}"
    try:
        os.unlink(sysfs.real(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError("delete", path, error.errno or 0) from error
