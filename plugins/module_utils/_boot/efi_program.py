# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of an ESP, known by what is in them.

At the path that firmware starts by itself (/EFI/BOOT/BOOTX64.EFI) names say nothing. Sources: shim, version.c, shim.c
(should_use_fallback) and fallback.c; GRUB, kern/main.c and include/grub/kernel.h (grub_module_info64).
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from .._system.sysfs import Sysfs
from .efi_options import Option
from .firmware import find_file
from .volume import mount_of

SHIM, GRUB = "shim", "GRUB"
MARKS = ((b"UEFI SHIM\n", SHIM), (b"Welcome to GRUB!", GRUB))
MAX_BYTES = 16 << 20
MAX_OPTIONS = 64 << 10
MODULES = struct.Struct("<4sIQQ")
"""Magic, padding, where its objects begin, and the size of all."""
MODULES_32 = struct.Struct("<4sII")
"""The same of a GRUB for 32 bits (grub_module_info32)."""
MAGIC = b"mimg"
OBJECT = struct.Struct("<II")
CONFIGURATION, PREFIX = 2, 3


class Program(NamedTuple):
    """A boot loader's program.

    ``configuration``, ``prefix``: what is built into a GRUB, empty for none.
    """

    kind: str
    configuration: str = ""
    prefix: str = ""


def parse(data: bytes, modules: struct.Struct = MODULES) -> Program | None:
    """A program from its contents, None for one that is not known."""
    kind = next((kind for mark, kind in MARKS if mark in data), None)
    if kind != GRUB:
        return None if kind is None else Program(kind)
    found = {CONFIGURATION: "", PREFIX: ""}
    for which, content in _objects(data, modules):
        found[which] = content.split(b"\0")[0].decode(errors="replace")
    return Program(kind, found[CONFIGURATION], found[PREFIX])


def _objects(data: bytes, modules: struct.Struct) -> list[tuple[int, bytes]]:
    """The objects of a GRUB image that are texts."""
    at, found = data.find(MAGIC), []
    while at >= 0 and len(data) >= at + modules.size:
        _magic, *padding, begin, size = modules.unpack_from(data, at)
        if not any(padding) and begin == modules.size and at + size <= len(data):
            place = at + begin
            while place + OBJECT.size <= at + size:
                which, length = OBJECT.unpack_from(data, place)
                if which in (CONFIGURATION, PREFIX):
                    found.append((which, data[place + OBJECT.size : place + length]))
                place += max(length, OBJECT.size)
            return found
        at = data.find(MAGIC, at + 1)
    return found


def read(sysfs: Sysfs, one: Option) -> Program | None:
    """The program that an option starts; None where it cannot be read."""
    data = _contents(sysfs, one, MAX_BYTES)
    return None if data is None else parse(data)


def started(sysfs: Sysfs, one: Option) -> Option | None:
    """The option as if it named what starts in the end.

    shim's fallback program, beside a shim at the path that firmware starts by itself, starts what the one line of a
    list on the ESP names. None where what starts is neither GRUB nor a shim that starts GRUB.
    """
    program = read(sysfs, one)
    if program is None or program.kind == GRUB:
        return None if program is None else one
    folder, name = os.path.split(one.file or "")
    if is_removable(one) and _contents(sysfs, one._replace(file=f"{folder}/fb{_machine(name)}.efi"), 1) is not None:
        files = _listed(sysfs, one)
        return one._replace(file=files[0]) if len(files) == 1 else None
    return one if _second(sysfs, one) is not None else None


def grub_of(sysfs: Sysfs, one: Option) -> Program | None:
    """The GRUB that an option starts, through shim or not."""
    program = read(sysfs, one)
    return program if program is not None and program.kind == GRUB else _second(sysfs, one)


def is_removable(one: Option) -> bool:
    """Whether an option names what firmware starts by itself."""
    folder, name = os.path.split((one.file or "").lower())
    return (folder, name[:4], name[-4:]) == ("/efi/boot", "boot", ".efi")


def _second(sysfs: Sysfs, one: Option) -> Program | None:
    """The GRUB beside a shim, under the name that it looks for."""
    folder, name = os.path.split(one.file or "")
    program = read(sysfs, one._replace(file=f"{folder}/grub{_machine(name)}.efi"))
    return program if program is not None and program.kind == GRUB else None


def _machine(name: str) -> str:
    """What names have of the machine's kind: x64 of BOOTX64.EFI."""
    return os.path.splitext(name)[0][4:].lower()


def _listed(sysfs: Sysfs, one: Option) -> list[str]:
    """Files that lists for shim's fallback program name, on one ESP."""
    place = _esp(sysfs, one)
    top = None if place is None else find_file(place, "/EFI")
    found: list[str] = []
    for folder in sorted(os.listdir(top)) if top is not None else ():
        names = (f"BOOT{_machine(os.path.basename(one.file or ''))}.CSV", "BOOT.CSV")
        for name in names if folder.lower() != "boot" else ():
            data = _contents(sysfs, one._replace(file=f"/EFI/{folder}/{name}"), MAX_OPTIONS)
            text = "" if data is None else data.decode("utf-16-le", errors="replace").lstrip("\ufeff")
            rows = [line.split(",")[0].strip("\0 \r") for line in text.splitlines()]
            found += [f"/EFI/{folder}/{row}" for row in rows if row]
    return found


def _esp(sysfs: Sysfs, one: Option) -> str | None:
    """Where an option's partition is mounted, on this machine."""
    device = sysfs.link(f"/dev/disk/by-partuuid/{one.partition}") if one.partition else None
    place = None if device is None else mount_of(sysfs, device)
    return None if place is None else sysfs.real(place)


def _contents(sysfs: Sysfs, one: Option, most: int) -> bytes | None:
    """The begin of an option's file, None where it cannot be read."""
    place = _esp(sysfs, one)
    path = None if place is None else find_file(place, one.file or "")
    try:
        with open(path or "", "rb") as file:
            return file.read(most)
    except OSError:
        return None
