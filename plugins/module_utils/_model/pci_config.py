# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI configuration space, as far as the engine needs it."""

from __future__ import annotations

HEADER = 256
"""Bytes that hold the header and all capabilities of a conventional device."""

_STATUS, _HAS_LIST, _FIRST = 0x06, 0x10, 0x34
_MSIX, _TABLE_SIZE = 0x11, 0x7FF
_MOST = 48
"""The most capabilities behind the header, so that a loop ends.

As in drivers/pci/pci.c.
"""


def msix_vectors(config: bytes) -> int | None:
    """The size of the MSI-X table by a device's ``config`` space.

    None without MSI-X, and without the rights to read it. PCIe base specification, 7.7.2: capability id 11h, Message
    Control behind it, its bits 10:0 the size less one.
    """
    if len(config) < HEADER or not config[_STATUS] & _HAS_LIST:
        return None
    at = config[_FIRST] & 0xFC
    for _step in range(_MOST):
        if not 0x40 <= at <= HEADER - 4:
            break
        if config[at] == _MSIX:
            return (int.from_bytes(config[at + 2 : at + 4], "little") & _TABLE_SIZE) + 1
        at = config[at + 1] & 0xFC
    return None
