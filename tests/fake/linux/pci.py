# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration space of a fake VF."""

from __future__ import annotations

import struct


def config(vectors: int) -> bytes:
    """A configuration space with the capabilities PCI Express and MSI-X.

    The latter has a table of ``vectors``.
    """
    space = bytearray(256)
    struct.pack_into("<H", space, 0x06, 0x0010)  # Status: there is a list of capabilities
    space[0x34] = 0xA0
    space[0xA0:0xA2] = bytes([0x10, 0x70])
    struct.pack_into("<BBH", space, 0x70, 0x11, 0x00, 0x8000 | vectors - 1)  # enabled, which is not a part of the size
    return bytes(space)
