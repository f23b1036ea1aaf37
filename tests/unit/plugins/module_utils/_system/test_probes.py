# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of ICMP and ARP, and whose answers count."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import arp, icmp

MARK = bytes(range(16))
MAC = bytes.fromhex("024b56000106")
WANTED = bytes([192, 0, 2, 7])


def test_loopback_answers() -> None:
    """A real socket, of this machine alone."""
    assert icmp.ping("127.0.0.1", 5.0)
    assert icmp.ping("::1", 5.0)


def test_nobody_answers() -> None:
    assert not icmp.ping("127.0.0.1", 0.0)


def test_a_request_has_a_good_checksum() -> None:
    packet = icmp.request(4, MARK)
    assert (packet[0], icmp.checksum(packet)) == (8, 0)
    assert packet.endswith(MARK)
    assert icmp.request(6, MARK)[:4] == bytes([128, 0, 0, 0])


def answer(kind: int = 0, mark: bytes = MARK, options: int = 0) -> bytes:
    header = bytes([0x40 | (5 + options)]) + bytes(19 + 4 * options)
    return header + bytes([kind, 0, 0, 0]) + mark[:2] + b"\0\1" + mark


@pytest.mark.parametrize(
    ("packet", "good"),
    [
        (answer(), True),
        (answer(options=2), True),
        (answer(kind=8), False),
        (answer(mark=bytes(16)), False),
        (answer()[:22], False),
        (b"", False),
        (b"\x4f", False),
    ],
    ids=["answer", "with options", "our own request", "another's", "short", "empty", "one byte"],
)
def test_whose_ping_is_answered(packet: bytes, good: bool) -> None:
    assert icmp.is_answer(4, packet, MARK) is good


def frame(kind: int = 2, owner: bytes = WANTED, hardware: int = 1) -> bytes:
    return bytes(14) + struct.pack(arp.FORM, hardware, 0x0800, 6, 4, kind, MAC, owner, bytes(6), bytes(4)) + bytes(18)


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (frame(), "02:4b:56:00:01:06"),
        (frame(kind=1), None),
        (frame(owner=bytes(4)), None),
        (frame(hardware=6), None),
        (frame()[:30], None),
        (b"", None),
    ],
    ids=["answer", "a request", "about another", "no Ethernet", "short", "empty"],
)
def test_whose_arp_is_answered(packet: bytes, found: str | None) -> None:
    assert arp.sender(packet, WANTED) == found


def test_a_probe_claims_no_address() -> None:
    """Nobody must take it for the owner of one (RFC 5227)."""
    packet = arp.request(MAC, WANTED)
    assert packet[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
    assert struct.unpack(arp.FORM, packet[14:]) == (1, 0x0800, 6, 4, 1, MAC, bytes(4), bytes(6), WANTED)


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match="No such device"):
        arp.ask("192.0.2.7", "none0", 1.0)
