# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the real OVMF, which keeps its variables.

The ESP is a folder, which QEMU shows as a disk with an MBR. Variables are those of a played host, written into OVMF's
store as the firmware has them (EDK II, VariableFormat.h); what the firmware leaves there is read from it.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .loader_files import GRUB_MODULES
from .ovmf import ADDED, FILES, FIRST, HEADER, START

CODE, VARIABLES = FILES / "OVMF_CODE_4M.fd", FILES / "OVMF_VARS_4M.fd"
PARTITION = "be1afdfa-01"
"""PARTUUID of the disk that QEMU makes of a folder (block/vvfat.c)."""
FS_UUID = "FABE-1AFD"
"""UUID of its file system."""
MODULES = (
    "part_gpt", "part_msdos", "fat", "ext2", "normal", "loadenv", "regexp", "test", "echo", "minicmd", "search",
    "search_fs_uuid", "search_fs_file", "search_label", "gzio", "configfile", "all_video", "true", "sleep", "serial",
    "terminal", "reboot", "halt", "gfxterm", "font",
)  # fmt: skip
"""Not `linux`, in whose place is a function of the test.

By EFI's protocol only a real kernel is loaded.
"""
PLAYED = """function linux { echo "started $1"; echo "words $@"; reboot; }
function initrd { true; }
"""


def missing(*files: Path) -> list[str]:
    """Programs and files that this machine lacks for it."""
    programs = [name for name in ("qemu-system-x86_64", "grub-mkimage") if shutil.which(name) is None]
    return programs + [str(path) for path in (CODE, VARIABLES, *files) if not path.exists()]


def grub(image: Path) -> bytes:
    """A GRUB that reads /EFI/debian/grub.cfg of its ESP."""
    argv = ["grub-mkimage", "-O", "x86_64-efi", "-d", str(GRUB_MODULES), "-p", "/EFI/debian", "-o", str(image)]
    subprocess.run([*argv, *MODULES], check=True)
    return image.read_bytes()


@dataclass
class Machine:
    """A machine whose ESP is ``esp``; the store of variables is ``store``."""

    esp: Path
    store: Path

    def take(self, efivars: Path) -> None:
        """Give it the variables of a played host's /sys/firmware/efi/efivars."""
        data = bytearray(VARIABLES.read_bytes())
        at = FIRST
        for path in sorted(efivars.iterdir()):
            name, vendor = path.name[:-37], uuid.UUID(path.name[-36:])
            attributes = int.from_bytes(path.read_bytes()[:4], "little")
            text, content = (name + "\0").encode("utf-16-le"), path.read_bytes()[4:]
            head = HEADER.pack(START, ADDED, 0, attributes, 0, bytes(16), 0, len(text), len(content), vendor.bytes_le)
            entry = head + text + content
            data[at : at + len(entry)] = entry
            at += len(entry) + -len(entry) % 4
        self.store.write_bytes(data)

    def variables(self) -> dict[str, bytes]:
        """What it has now, by name and vendor."""
        return dict(_variables(self.store.read_bytes()))

    def start(self) -> tuple[int, str]:
        """Start it: QEMU's status, and what it wrote."""
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-m", "256", "-nodefaults", "-display", "none"]
        argv += ["-serial", "stdio", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}"]
        argv += ["-drive", f"if=pflash,unit=1,format=raw,file={self.store}"]
        argv += ["-drive", f"if=none,id=d0,format=raw,file=fat:rw:{self.esp}", "-device", "ide-hd,drive=d0,bus=ide.0"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    def kernel(self) -> str:
        """The kernel file that the real GRUB starts."""
        _status, text = self.start()
        match = re.search(r"started (/\S+)", text)
        if match is None:
            raise AssertionError(f"GRUB started nothing: {text[-800:]}")
        return match.group(1)


def _variables(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = FIRST
    while struct.unpack_from("<H", data, at)[0] == START:
        fields = HEADER.unpack_from(data, at)
        state, names, size, vendor = fields[1], fields[7], fields[8], fields[9]
        begin = at + HEADER.size
        if state == ADDED:
            name = data[begin : begin + names].decode("utf-16-le").rstrip("\0")
            yield f"{name}-{uuid.UUID(bytes_le=vendor)}", data[begin + names : begin + names + size]
        at = begin + names + size
        at += -at % 4
