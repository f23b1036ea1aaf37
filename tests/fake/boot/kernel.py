# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that writes its name to the serial port.

Then it ends the machine. A bzImage by the 32-bit boot protocol (Linux, Documentation/arch/x86/boot.rst), so that a real
GRUB loads it.
"""

from __future__ import annotations

import struct

EXIT_PORT = 0xF4
"""QEMU's isa-debug-exit."""
COMMAND_LINE = 0x228
"""Where boot_params have the address of the command line."""


def image(name: str) -> bytes:
    """A kernel that writes ``started NAME``.

    In the next line, ``with`` the command line that it was given.
    """
    text = f"started {name}\r\nwith ".encode() + b"\0"
    write = (
        b"\x66\xba\xfd\x03"  # mov dx, 0x3fd: line status
        b"\xec\xa8\x20\x74\xfb"  # in al, dx; test al, 0x20; jz: until it can take a byte
        b"\x66\xba\xf8\x03"  # mov dx, 0x3f8
        b"\xac\x84\xc0\x74\x03"  # lodsb; test al, al; jz end
        b"\xee\xeb\xeb\xc3"  # out dx, al; jmp to the line status; end: ret
    )
    begin = b"\x8b\x9e" + struct.pack("<I", COMMAND_LINE) + b"\xe8\0\0\0\0\x5e"  # mov ebx, [esi]; esi: where it is
    end = b"\x66\xba" + struct.pack("<H", EXIT_PORT) + b"\xee\xf4"  # out dx, al; hlt
    # add esi: the text; call write; mov esi, ebx: the command line; call write
    rest = 3 + 5 + 2 + 5 + len(end)
    code = begin + b"\x83\xc6" + bytes([1 + rest + len(write)])
    code += b"\xe8" + struct.pack("<I", 2 + 5 + len(end)) + b"\x89\xde\xe8" + struct.pack("<I", len(end)) + end + write
    return bytes(_setup(name)) + code + text.ljust(4096, b"\0")


def version(name: str) -> str:
    """What `uname -v` would say of it."""
    return f"#1 SMP {name.rpartition('-')[2]} (2026-11-29)"


def _setup(name: str) -> bytearray:
    """Two sectors.

    The boot sector and one of setup code, with the header.
    """
    head = bytearray(1024)
    head[0x1F1] = 1  # setup_sects
    struct.pack_into("<H", head, 0x1FE, 0xAA55)
    head[0x200:0x202] = b"\xeb\x6a"
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x020C)  # version
    head[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<I", head, 0x214, 0x100000)  # code32_start
    struct.pack_into("<I", head, 0x22C, 0x7FFFFFFF)  # initrd_addr_max
    struct.pack_into("<I", head, 0x230, 0x1000)  # kernel_alignment
    head[0x234] = 1  # relocatable
    struct.pack_into("<I", head, 0x238, 2047)  # cmdline_size
    struct.pack_into("<Q", head, 0x258, 0x100000)  # pref_address
    struct.pack_into("<I", head, 0x260, 0x10000)  # init_size
    text = f"{name} (builder@host) {version(name)}".encode()
    struct.pack_into("<H", head, 0x20E, 0x300 - 0x200)  # kernel_version
    head[0x300 : 0x300 + len(text)] = text
    return head
