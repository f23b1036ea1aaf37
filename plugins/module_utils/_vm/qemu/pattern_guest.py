# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of one sector that fills its memory, for rehearsals. Pure.

Each page from 1 MiB on gets its number, mixed with a seed, 1024 times: no page is zero, and none is as another. Then
the guest halts with interrupts off, so its memory stays as it is. An NMI is all that wakes it: it counts it, which
shows that the guest really runs. For PCs (type q35) with less than 2 GiB, whose memory is in one piece.
"""

from __future__ import annotations

import struct

MIB = 1 << 20
PAGE = 4096
BEGIN = MIB
"""Address of the first page that it fills.

What is below is the firmware's, and its own.
"""
LARGEST_MIB = 2047
"""Largest guest: beyond, memory is in two pieces.

From 2816 MiB on (hw/i386/pc_q35.c of QEMU); and 32-bit numbers of bytes end.
"""
STATE = 0x7000
"""Address of `READY`, written in the end, and the number of NMIs.

4 bytes each.
"""
READY = 0x6B766D66
ORIGIN = 0x7C00
PROGRAM = """
fa                ; start: cli
31 c0             ; xor ax,ax
8e d8             ; mov ds,ax
8e d0             ; mov ss,ax
bc 00 6c          ; mov sp,0x6c00
c7 06 08 00 NN NN ; mov word [0x8],nmi: vector 2
a3 0a 00          ; mov [0xa],ax
66 31 c0          ; xor eax,eax
66 a3 00 70       ; mov [STATE],eax
66 a3 04 70       ; mov [STATE+4],eax
e4 92             ; in al,0x92
0c 02             ; or al,2: address line 20
e6 92             ; out 0x92,al
0f 01 16 GG GG    ; lgdt [table]
0f 20 c0          ; mov eax,cr0
0c 01             ; or al,1
0f 22 c0          ; mov cr0,eax
bb 08 00          ; mov bx,8
8e c3             ; mov es,bx: all 4 GiB, which it keeps in real mode
24 fe             ; and al,0xfe
0f 22 c0          ; mov cr0,eax
66 bf BB BB BB BB ; mov edi,BEGIN
66 89 f8          ; page: mov eax,edi
66 c1 e8 0c       ; shr eax,12
66 35 SS SS SS SS ; xor eax,seed
66 b9 00 04 00 00 ; mov ecx,1024
67 f3 66 ab       ; rep stosd [edi]
66 81 ff EE EE EE EE ; cmp edi,end
72 e0             ; jb page
66 c7 06 00 70 RR RR RR RR ; mov dword [STATE],READY
f4                ; halt: hlt
eb fd             ; jmp halt
66 ff 06 04 70    ; nmi: inc dword [STATE+4]
cf                ; iret
"""
"""Bytes and assembly (Intel's, 16 bit)."""
TABLE = bytes(8) + bytes.fromhex("ffff0000 0092cf00".replace(" ", ""))
"""Descriptors: none, and data of 4 GiB (Intel SDM volume 3, 3.4.5)."""


def sector(mib: int, seed: int) -> bytes:
    """The boot sector of a guest with ``mib`` MiB; ``seed``: 32 bits."""
    if not 2 <= mib <= LARGEST_MIB:
        raise ValueError(f"{mib} MiB are not 2 to {LARGEST_MIB}")
    words = [line.partition(";")[0].split() for line in PROGRAM.strip().splitlines()]
    length = sum(map(len, words))
    handler = length - len(words[-1]) - len(words[-2])
    values = {
        "NN": struct.pack("<H", ORIGIN + handler),
        "GG": struct.pack("<H", ORIGIN + length + len(TABLE)),
        "BB": struct.pack("<I", BEGIN),
        "SS": struct.pack("<I", seed),
        "EE": struct.pack("<I", mib * MIB),
        "RR": struct.pack("<I", READY),
    }
    code = b"".join(_filled(line, values) for line in words)
    pointer = struct.pack("<HI", len(TABLE) - 1, ORIGIN + length)
    return (code + TABLE + pointer).ljust(510, b"\0") + b"\x55\xaa"


def _filled(line: list[str], values: dict[str, bytes]) -> bytes:
    """Bytes of a line, with a value in place of its letters."""
    fixed = b"".join(bytes.fromhex(word) for word in line if word not in values)
    named = [word for word in line if word in values]
    return fixed + (values[named[0]] if named else b"")


def page(number: int, seed: int) -> bytes:
    """Contents of a page, by its number, once the guest is ready."""
    return struct.pack("<I", (number ^ seed) & 0xFFFFFFFF) * (PAGE // 4)
