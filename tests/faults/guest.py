# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of one sector that knows its own disk.

At each tick it reads its sector of the disk and compares the sequence number there with the one in its memory: another
number means that somebody else wrote to the disk, or that this memory is older than it. It counts that there, adds
one to the number and writes it. At its start from the disk it counts boots. It releases a device that it is asked for
after some ticks, or never (docs/specs/acpi_pci_hotplug.rst of QEMU), and answers the power button (`boot_sector` has
the registers).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

OBEYS, DEAF = 1, 0xFFFF
"""Ticks until the guest releases a device, 18.2 a second."""
SIZE = 1 << 20
"""Bytes of a disk."""
PROGRAM = """
31 c0             ; start: xor ax,ax
8e d8             ; mov ds,ax
8e c0             ; mov es,ax
8e d0             ; mov ss,ax
bc 00 60          ; mov sp,0x6000
fb                ; sti
ba 02 06          ; mov dx,0x602
b8 00 01          ; mov ax,0x100
ef                ; out dx,ax
e8 7f 00          ; call 95 <rd>
66 ff 06 04 7e    ; inc dword 0x7e04
66 a1 00 7e       ; mov eax,0x7e00
66 a3 00 70       ; mov 0x7000,eax
c7 06 04 70 00 00 ; mov word 0x7004,0x0
e8 6d 00          ; call 99 <wr>
f4                ; top: hlt
e8 65 00          ; call 95 <rd>
66 a1 00 70       ; mov eax,0x7000
66 3b 06 00 7e    ; cmp eax,dword 0x7e00
74 05             ; je 40 <good>
66 ff 06 08 7e    ; inc dword 0x7e08
66 40             ; good: inc eax
66 a3 00 70       ; mov 0x7000,eax
66 a3 00 7e       ; mov 0x7e00,eax
e8 4c 00          ; call 99 <wr>
ba 00 06          ; mov dx,0x600
ed                ; in ax,dx
0a 26 0c 7e       ; or ah,byte [0x7e0c]
f6 c4 01          ; test ah,0x1
74 07             ; je 61 <nopower>
ba 04 06          ; mov dx,0x604
b8 00 20          ; mov ax,0x2000
ef                ; out dx,ax
66 31 db          ; nopower: xor ebx,ebx
ba d0 0c          ; bus: mov dx,0xcd0
66 89 d8          ; mov eax,ebx
66 ef             ; out dx,eax
ba c4 0c          ; mov dx,0xcc4
66 ed             ; in eax,dx
66 85 c0          ; test eax,eax
74 17             ; je 8d <next>
ff 06 04 70       ; inc word 0x7004
81 3e 04 70 DD DD ; cmp word 0x7004,delay
72 0b             ; jb 8d <next>
c7 06 04 70 00 00 ; mov word 0x7004,0x0
ba c8 0c          ; mov dx,0xcc8
66 ef             ; out dx,eax
43                ; next: inc bx
83 fb 04          ; cmp bx,0x4
75 d1             ; jne 64 <bus>
eb 97             ; jmp 2c <top>
b4 02             ; rd: mov ah,0x2
eb 02             ; jmp 9b <disk>
b4 03             ; wr: mov ah,0x3
b0 01             ; disk: mov al,0x1
b9 02 00          ; mov cx,0x2
ba 80 00          ; mov dx,0x80
bb 00 7e          ; mov bx,0x7e00
cd 13             ; int 0x13
c3                ; ret
"""
"""Bytes and assembly (Intel's, 16 bit) of the boot sector.

In memory 0x7000 is its number, 0x7004 how often it was asked, 0x7e00 the sector: number, boots, foreign numbers,
and a byte that is 1 when its user shuts it down. Ports:
0x600 PM1_STS, 0x602 PM1_EN, 0x604 PM1_CNT; 0xcd0 BNUM, 0xcc4 PCID, 0xcc8 B0EJ.
"""


@dataclass(frozen=True)
class Sector:
    """The guest's sector.

    Sequence number, boots, and reads of a number that was not its own."""

    sequence: int
    boots: int
    foreign: int


def read(disk: Path) -> Sector:
    with disk.open("rb") as file:
        file.seek(512)
        return Sector(*struct.unpack("<3I", file.read(12)))


def ask_to_shut_down(disk: Path) -> None:
    """Write what the guest's user would do to its sector.

    The guest may write over it at that moment: ask again.
    """
    with disk.open("r+b") as file:
        file.seek(512 + 12)
        file.write(b"\1")


def make(disk: Path, delay: int = OBEYS) -> None:
    """Write a new disk; ``delay``: ticks until the guest releases a device."""
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(program(delay).ljust(SIZE, b"\0"))


def program(delay: int) -> bytes:
    """The boot sector, for the disk that the BIOS calls 0x80."""
    text = " ".join(line.partition(";")[0] for line in PROGRAM.splitlines())
    low, high = struct.pack("<H", delay)
    code = bytes.fromhex(text.replace("DD DD", f"{low:02x} {high:02x}"))
    return code.ljust(510, b"\0") + b"\x55\xaa"
