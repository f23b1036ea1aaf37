# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with the real OVMF, Microsoft's keys, and the real shim.

shim, as Debian has it signed, starts Debian's signed GRUB, which asks shim about kernels. Keys are enrolled in shim's
own list. Sources: shim, MokVars.txt; Linux, Documentation/arch/x86/boot.rst (EFI handover protocol).
"""

from __future__ import annotations

import struct
import uuid

from . import ovmf
from .loader_files import GRUB_SIGNED, SHIM
from .ovmf import FILES, Firmware, code_of, with_variables

VARIABLES = FILES / "OVMF_VARS_4M.ms.fd"
OF_SHIM = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
FOR_BOOT = 3
"""Non-volatile, for boot services alone: shim takes no other."""
KERNELS = """set timeout=0
if linux /tried; then boot; fi
linux /other
boot
"""


def missing() -> list[str]:
    """Programs and files that this machine lacks for it."""
    return ovmf.missing() + [str(path) for path in (VARIABLES, SHIM, GRUB_SIGNED) if not path.exists()]


def kernel(number: int) -> bytes:
    """A kernel that ends QEMU, by the EFI handover protocol."""
    data = bytearray(ovmf.program(number).ljust(0x400, b"\0")[:0x400])
    struct.pack_into("<I", data, 0x40 + 24 + 60, 0x400)  # SizeOfHeaders
    section = 0x40 + 24 + 240
    struct.pack_into("<6I", data, section + 8, 0x1000, 0x1000, 0x1000, 0x400, 0, 0)
    data[0x200:0x400] = bytes(0x200)
    data[0x1F1] = 1  # setup_sects
    struct.pack_into("<I", data, 0x1F4, 0x1000 // 16)  # syssize
    struct.pack_into("<H", data, 0x1FE, 0xAA55)
    data[0x200:0x206] = b"\xeb\x6aHdrS"
    struct.pack_into("<H", data, 0x206, 0x020C)  # version
    data[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<I", data, 0x214, 0x100000)  # code32_start
    struct.pack_into("<I", data, 0x22C, 0x7FFFFFFF)  # initrd_addr_max
    struct.pack_into("<I", data, 0x230, 0x200000)  # kernel_alignment
    data[0x234] = 1  # relocatable
    struct.pack_into("<H", data, 0x236, 1 | 2 | 8)  # xloadflags: 64 bit, above 4 GiB, handover
    struct.pack_into("<I", data, 0x238, 255)  # cmdline_size
    struct.pack_into("<Q", data, 0x258, 0x1000000)  # pref_address
    struct.pack_into("<II", data, 0x260, 0x10000, 0x10)  # init_size, handover_offset
    return bytes(data) + bytes(0x210) + code_of(number).ljust(0x1000 - 0x210, b"\x90")


class ThroughShim(Firmware):
    """Its ``lists`` are shim's: MokList and MokListX."""

    def place(self, tried: bytes, other: bytes) -> None:
        self.put("tried/EFI/BOOT/BOOTX64.EFI", SHIM.read_bytes())
        self.put("tried/EFI/BOOT/grubx64.efi", GRUB_SIGNED.read_bytes())
        self.put("tried/EFI/debian/grub.cfg", KERNELS.encode())
        self.put("tried/tried", tried)
        self.put("tried/other", other)
        (self.folder / "other").mkdir(parents=True, exist_ok=True)

    def store(self) -> bytes:
        return with_variables(VARIABLES.read_bytes(), self.lists, OF_SHIM, FOR_BOOT)
