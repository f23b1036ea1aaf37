# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the real OVMF and Secure Boot.

It starts a program of ours, or another one. Each ends QEMU with a number of its own.
Sources: UEFI 2.10; VariableFormat.h of EDK II.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

FILES = Path(os.environ.get("KVMFLEET_OVMF", "/usr/share/OVMF"))
"""Files of Debian's package ovmf."""
CODE, VARIABLES = FILES / "OVMF_CODE_4M.secboot.fd", FILES / "OVMF_VARS_4M.snakeoil.fd"
"""They have a PK and a KEK, so Secure Boot is on."""
TRIED, OTHER = 0x10, 0x20
HEADER = struct.Struct("<HBBIQ16sIII16s")
"""AUTHENTICATED_VARIABLE_HEADER."""
START, ADDED, DELETED = 0x55AA, 0x3F, 0x3D
AUTHENTICATED = 0x27
"""Non-volatile, for boot services and the system, authenticated by time."""
FIRST = 0x64
"""Where the first variable is, behind the headers of volume and store."""
TIME = struct.pack("<H6B", 2026, 1, 1, 0, 0, 0, 0) + bytes(8)


def missing() -> list[str]:
    """Programs and files that this machine lacks for it."""
    programs = [name for name in ("qemu-system-x86_64", "sbsign", "openssl") if shutil.which(name) is None]
    return programs + [str(path) for path in (CODE, VARIABLES) if not path.exists()]


def program(number: int) -> bytes:
    """Return a program that ends QEMU with ``2 * number + 1``."""
    code = code_of(number).ljust(0x200, b"\x90")
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22)
    head += struct.pack("<HBBIIIII", 0x20B, 2, 0, 0x200, 0, 0, 0x1000, 0x1000)
    head += struct.pack("<QII6HIIIIHHQQQQII", 0, 0x1000, 0x200, *[0] * 7, 0x2000, 0x200, 0, 10, 0, *[0] * 5, 16)
    head += bytes(16 * 8) + b".text".ljust(8, b"\0")
    head += struct.pack("<6IHHI", 0x200, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    return head.ljust(0x200, b"\0") + code


def code_of(number: int) -> bytes:
    """Machine code that writes a number to QEMU's isa-debug-exit."""
    return bytes([0x66, 0xBA, 0xF4, 0x00, 0xB0, number, 0xEE, 0xF4, 0xEB, 0xFD])


@dataclass
class Firmware:
    """A machine below ``folder``; ``lists``: contents of db and dbx."""

    folder: Path
    lists: dict[str, bytes]

    def place(self, tried: bytes, other: bytes) -> None:
        """Put both programs on disks, the first one's before the other's."""
        self.put("tried/EFI/BOOT/BOOTX64.EFI", tried)
        self.put("other/EFI/BOOT/BOOTX64.EFI", other)

    def put(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def store(self) -> bytes:
        """The variables that the firmware has."""
        return with_variables(VARIABLES.read_bytes(), self.lists)

    def starts(self, tried: bytes, other: bytes) -> bool:
        """Whether it starts the first program; else it starts the other one."""
        self.place(tried, other)
        (self.folder / "variables").write_bytes(self.store())
        done = subprocess.run(self._qemu(), stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        numbers = {2 * TRIED + 1: True, 2 * OTHER + 1: False}
        if done.returncode not in numbers:
            raise AssertionError(f"OVMF started nothing: {done.returncode} {done.stdout[-500:]!r} {done.stderr!r}")
        return numbers[done.returncode]

    def _qemu(self) -> list[str]:
        argv = [
            "qemu-system-x86_64",
            "-accel",
            "tcg",
            "-M",
            "q35,smm=on",
            "-m",
            "256",
            "-nodefaults",
            "-display",
            "none",
        ]
        argv += ["-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        argv += ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"]
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}"]
        argv += ["-drive", f"if=pflash,unit=1,format=raw,file={self.folder}/variables"]
        for number, name in enumerate(("tried", "other")):
            argv += ["-drive", f"if=none,id=d{number},format=raw,file=fat:rw:{self.folder}/{name}"]
            argv += ["-device", f"ide-hd,drive=d{number},bootindex={number},bus=ide.{number}"]
        return argv


SECURITY = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
"""EFI_IMAGE_SECURITY_DATABASE_GUID."""


def with_variables(
    store: bytes, lists: dict[str, bytes], vendor: uuid.UUID = SECURITY, attributes: int = AUTHENTICATED
) -> bytes:
    """The store of variables, with these instead of those of their names."""
    data = bytearray(store)
    at = data.index(struct.pack("<H", START))
    while struct.unpack_from("<H", data, at)[0] == START:
        names, size = HEADER.unpack_from(data, at)[7:9]
        name = data[at + HEADER.size : at + HEADER.size + names].decode("utf-16-le").rstrip("\0")
        if name in lists and data[at + HEADER.size - 16 : at + HEADER.size] == vendor.bytes_le:
            data[at + 2] &= DELETED
        at += HEADER.size + names + size
        at += -at % 4
    for name, content in lists.items():
        if not content:
            continue  # with an empty dbx OVMF starts nothing
        text = (name + "\0").encode("utf-16-le")
        time = TIME if attributes == AUTHENTICATED else bytes(16)
        head = HEADER.pack(START, ADDED, 0, attributes, 0, time, 0, len(text), len(content), vendor.bytes_le)
        entry = head + text + content
        data[at : at + len(entry)] = entry
        at += len(entry) + -len(entry) % 4
    return bytes(data)
