# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of one sector, which answers unplugs on demand.

For a real QEMU of type q35. It ejects through the registers of ACPI PCI hot-plug, as an operating system's AML does
(docs/specs/acpi_pci_hotplug.rst of QEMU; at 0xcc0 on q35, by `info mtree`): select a bus, read PCID, write what is set
there to B0EJ. When the power button is pressed it powers the machine off (ACPI: PM1_STS, PM1_EN, PM1_CNT; q35's are at
0x600).
"""

from __future__ import annotations

import struct

TICKS = 0x7000
"""Address of the guest's own counter, 18.2 ticks a second."""
SWITCH = 0x51
"""Byte of the CMOS; the guest ejects while it is 1."""
BUSES = 4
PCID, B0EJ, BNUM = 0xCC4, 0xCC8, 0xCD0


def _jump(opcode: int, here: int, target: int) -> bytes:
    """A short jump at ``here``, relative to what follows it."""
    return struct.pack("<Bb", opcode, target - (here + 2))


def boot_sector() -> bytes:
    code = b"\x31\xc0\x8e\xd8\xfb"  # xor ax,ax; mov ds,ax; sti
    code += b"\xba\x02\x06\xb8\x00\x01\xef"  # PM1_EN: mov dx,602; mov ax,100; out dx,ax
    top = len(code)
    code += b"\xf4"  # hlt: until the timer's next interrupt
    code += b"\x66\xff\x06" + struct.pack("<H", TICKS)  # inc dword [TICKS]
    code += b"\xba\x00\x06\xed\xf6\xc4\x01"  # PM1_STS: mov dx,600; in ax,dx; test ah,1
    code += b"\x74\x07\xba\x04\x06\xb8\x00\x20\xef"  # jz over; PM1_CNT: mov dx,604; mov ax,2000; out dx,ax
    code += bytes([0xB0, SWITCH, 0xE6, 0x70, 0xE4, 0x71, 0x3C, 1])  # al = CMOS[SWITCH]; cmp al,1
    code += _jump(0x75, len(code), top)  # jne top
    code += b"\x66\x31\xdb"  # xor ebx,ebx
    bus = len(code)
    code += b"\xba" + struct.pack("<H", BNUM) + b"\x66\x89\xd8\x66\xef"  # mov dx,BNUM; mov eax,ebx; out dx,eax
    code += b"\xba" + struct.pack("<H", PCID) + b"\x66\xed\x66\x85\xc0"  # mov dx,PCID; in eax,dx; test eax,eax
    code += b"\x74\x05\xba" + struct.pack("<H", B0EJ) + b"\x66\xef"  # jz over; mov dx,B0EJ; out dx,eax
    code += bytes([0x43, 0x83, 0xFB, BUSES])  # inc bx; cmp bx,BUSES
    code += _jump(0x75, len(code), bus)  # jne bus
    code += _jump(0xEB, len(code), top)
    return code.ljust(510, b"\0") + b"\x55\xaa"
