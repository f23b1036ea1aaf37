# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces as guests report them.

All of it is a guest's word, and says something about that guest alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
MOST = 256
"""Most interfaces, and addresses of one, that are read."""
LARGEST = 1 << 64


@dataclass(frozen=True)
class GuestInterface:
    """An interface of a guest.

    ``mac`` in lower case; ``has_address``: one that is not link-local; ``received``: packets, None when it does not
    say.
    """

    mac: str
    has_address: bool
    received: int | None


def parse(value: object) -> list[GuestInterface]:
    """Interfaces in an answer to guest-network-get-interfaces.

    qga/qapi-schema.json, GuestNetworkInterface. What is no such thing is left out.
    """
    items = value[:MOST] if isinstance(value, list) else []
    return [one for item in items if isinstance(item, Mapping) for one in _interface(item)]


def _interface(item: Mapping[str, object]) -> Iterator[GuestInterface]:
    mac = item.get("hardware-address")
    if isinstance(mac, str) and MAC.fullmatch(mac.lower()):
        listed = item.get("ip-addresses")
        addresses = listed[:MOST] if isinstance(listed, list) else []
        yield GuestInterface(mac.lower(), any(map(_is_address, addresses)), _received(item.get("statistics")))


def _is_address(item: object) -> bool:
    text = item.get("ip-address") if isinstance(item, Mapping) else None
    try:
        address = ipaddress.ip_address(text if isinstance(text, str) else "")
    except ValueError:
        return False
    return not (address.is_link_local or address.is_unspecified or address.is_loopback)


def _received(statistics: object) -> int | None:
    count = statistics.get("rx-packets") if isinstance(statistics, Mapping) else None
    good = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < LARGEST
    return count if good and isinstance(count, int) else None
