# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration space by the `config` files of sysfs.

It shows what the hardware has, and is changed behind the kernel's back.

Offsets and bits: include/uapi/linux/pci_regs.h, PCI_SRIOV_*. Registers are little-endian.
"""

from __future__ import annotations

import os
from typing import NamedTuple

EXTENDED = 0x100
SRIOV_ID = 0x10


class Register(NamedTuple):
    """A register of ``size`` bytes."""

    offset: int
    size: int


COMMAND = Register(0x04, 2)
"""Of the header; the others are of the SR-IOV capability."""
CONTROL = Register(0x08, 2)
TOTAL_VFS = Register(0x0E, 2)
"""The hardware's own number: a driver may have lowered `sriov_totalvfs`."""
NUM_VFS = Register(0x10, 2)
PAGE_SIZE = Register(0x20, 4)
VF_BAR = Register(0x24, 4)

BUS_MASTER = 0x4
VF_ENABLE, MIGRATION_INTERRUPT, VF_MEMORY, ARI = 0x1, 0x4, 0x8, 0x10
ADDRESS = ~0xF
"""The part of a memory BAR that is an address."""


def find_sriov(config: bytes) -> int | None:
    """The SR-IOV capability's place in a whole configuration space; or None."""
    offset, seen = EXTENDED, set[int]()
    while offset >= EXTENDED and offset not in seen and offset + 4 <= len(config):
        seen.add(offset)
        header = int.from_bytes(config[offset : offset + 4], "little")
        if header & 0xFFFF == SRIOV_ID:
            return offset
        offset = header >> 20
    return None


class Space:
    """A function's configuration space, by the `config` file at ``path``.

    Registers are counted from ``base`` on.
    """

    def __init__(self, path: str, base: int = 0) -> None:
        self.path, self.base = path, base

    def get(self, register: Register) -> int:
        with open(self.path, "rb", buffering=0) as stream:
            data = os.pread(stream.fileno(), register.size, self.base + register.offset)
        return int.from_bytes(data, "little")

    def put(self, register: Register, value: int) -> None:
        with open(self.path, "r+b", buffering=0) as stream:
            os.pwrite(stream.fileno(), value.to_bytes(register.size, "little"), self.base + register.offset)

    def flip(self, register: Register, bits: int) -> bool:
        """Invert bits; False if the hardware does not take it."""
        wanted = self.get(register) ^ bits
        self.put(register, wanted)
        return self.get(register) == wanted


def sriov(path: str) -> Space:
    """The SR-IOV capability of the PF whose `config` file is at ``path``."""
    with open(path, "rb") as stream:
        base = find_sriov(stream.read())
    if base is None:
        raise ValueError(f"{path} has no SR-IOV capability")
    return Space(path, base)
