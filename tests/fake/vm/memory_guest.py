# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of one sector that writes to its memory.

For a real QEMU under TCG, which checks no segment limits: 32-bit addresses work in real mode.
"""

from __future__ import annotations

import struct

from .boot_sector import TICKS

BEGIN = 2 << 20
"""Address of the memory that it fills."""
PAGE = 4096


def _jump(opcode: int, here: int, target: int) -> bytes:
    """A short jump at ``here``, relative to what follows it."""
    return struct.pack("<Bb", opcode, target - (here + 2))


def _pages(here: int, length: int, write: bytes) -> bytes:
    """A loop at ``here`` that writes to each page of ``length`` bytes."""
    code = b"\x66\xbf" + struct.pack("<I", BEGIN)  # mov edi,BEGIN
    top = here + len(code)
    code += write + b"\x66\x81\xc7" + struct.pack("<I", PAGE)  # add edi,PAGE
    code += b"\x66\x81\xff" + struct.pack("<I", BEGIN + length)  # cmp edi,BEGIN + length
    return code + _jump(0x72, here + len(code), top)  # jb top


def memory_guest(filled: int, rewritten: int, rests: bool = True) -> bytes:
    """The sector; it counts at `TICKS`.

    ``filled``: bytes that differ from zero in each page once it counts; ``rewritten``: of them, each time, 0 for none;
    ``rests``: until the next tick of the clock, of which there are 18.2 a second.
    """
    code = b"\x31\xc0\x8e\xd8\xfb"  # xor ax,ax; mov ds,ax; sti
    code += _pages(len(code), filled, b"\x67\x66\x89\x3f")  # mov [edi],edi
    top = len(code)
    code += b"\xf4" if rests else b""  # hlt: until the timer's next interrupt
    code += b"\x66\xff\x06" + struct.pack("<H", TICKS)  # inc dword [TICKS]
    code += _pages(len(code), rewritten, b"\x67\x66\xff\x07") if rewritten else b""  # inc dword [edi]
    code += _jump(0xEB, len(code), top)
    return code.ljust(510, b"\0") + b"\x55\xaa"
