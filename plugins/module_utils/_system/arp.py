# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ARP probe (RFC 826, RFC 5227): who has an address?

Without a sender's address, so that nobody's table changes by it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import time

ETHERTYPE = 0x0806
REQUEST, ANSWER = 1, 2
FORM = "!HHBBH6s4s6s4s"
HEADER = 14
"""Bytes of an Ethernet header."""
LARGEST = 2048


def ask(address: str, interface: str, deadline_s: float) -> str | None:
    """MAC address of who has ``address`` at an interface of this host.

    None without an answer within ``deadline_s`` seconds. Needs root. Raises `OSError` when nothing can be sent: no such
    interface, or one that is down.
    """
    until = time.monotonic() + deadline_s
    wanted = ipaddress.IPv4Address(address).packed
    with contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))) as connection:
        connection.bind((interface, ETHERTYPE))
        connection.send(request(connection.getsockname()[4], wanted))
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                found = sender(connection.recv(LARGEST), wanted)
            except socket.timeout:
                return None
            if found is not None:
                return found
    return None


def request(mac: bytes, wanted: bytes) -> bytes:
    """A frame to all that asks for ``wanted``."""
    header = b"\xff" * 6 + mac + struct.pack("!H", ETHERTYPE)
    return header + struct.pack(FORM, 1, 0x0800, 6, 4, REQUEST, mac, b"\0" * 4, b"\0" * 6, wanted)


def sender(frame: bytes, wanted: bytes) -> str | None:
    """MAC address in an answer that is about ``wanted``; None for others."""
    body = frame[HEADER : HEADER + struct.calcsize(FORM)]
    if len(body) < struct.calcsize(FORM):
        return None
    hardware, protocol, _length, _size, kind, mac, owner, _target, _asked = struct.unpack(FORM, body)
    if (hardware, protocol, kind, owner) != (1, 0x0800, ANSWER, wanted):
        return None
    return ":".join(f"{byte:02x}" for byte in mac)
