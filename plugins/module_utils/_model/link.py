# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PF's network interface, as far as its VFs' properties need it."""

from __future__ import annotations

from dataclasses import dataclass

ETHER, INFINIBAND = "ether", "infiniband"


@dataclass(frozen=True)
class Link:
    """Facts about a network interface from `ip`; MTUs in bytes.

    ``mtu`` is its current one; 0 in place of an MTU is "not known". ``kind`` as iproute2 names it: `ETHER`,
    `INFINIBAND`, or another. ``permanent`` is the MAC address that the device came with, whatever a bond or an
    administrator gave it since.
    """

    kind: str = "ether"
    permanent: str | None = None
    min_mtu: int = 0
    max_mtu: int = 0
    altnames: tuple[str, ...] = ()
    mtu: int = 0
