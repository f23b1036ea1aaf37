# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One echo request of ICMP (RFC 792, RFC 4443).

Hosts need no ping program.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import struct
import time

ECHO = {4: (8, 0), 6: (128, 129)}
"""Types of request and answer, by IP version."""
LARGEST = 2048


def ping(address: str, deadline_s: float) -> bool:
    """Whether an address answers within ``deadline_s`` seconds.

    Needs root. Raises `OSError` when nothing can be sent: no route, for example.
    """
    version = ipaddress.ip_address(address).version
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    until = time.monotonic() + deadline_s
    mark = secrets.token_bytes(16)
    with contextlib.closing(socket.socket(family, socket.SOCK_RAW, protocol)) as connection:
        target = socket.getaddrinfo(address, None, family, 0, 0, socket.AI_NUMERICHOST)[0][4]
        connection.sendto(request(version, mark), target)
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                packet, sender = connection.recvfrom(LARGEST)
            except socket.timeout:
                break
            if sender[0] == target[0] and is_answer(version, packet, mark):
                return True
    return False


def request(version: int, mark: bytes) -> bytes:
    """An echo request that carries ``mark``.

    Its first two bytes are the identifier. The kernel computes the checksum of ICMPv6 (ipv6(7)).
    """
    kind = ECHO[version][0]
    body = mark[:2] + b"\0\1" + mark
    return struct.pack("!BBH", kind, 0, checksum(struct.pack("!BBH", kind, 0, 0) + body) if version == 4 else 0) + body


def is_answer(version: int, packet: bytes, mark: bytes) -> bool:
    """Whether a packet answers the request with ``mark``.

    A raw socket of IPv4 hands out the IP header, too (raw(7)).
    """
    start = (packet[0] & 15) * 4 if version == 4 and packet else 0
    message = packet[start:]
    return len(message) >= 8 and message[0] == ECHO[version][1] and message[8:] == mark


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
