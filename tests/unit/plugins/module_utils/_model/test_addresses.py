# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derived addresses: never multicast, never two the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import addresses as _derived
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

# a base, an id, the address
BASES = [
    ("02:00:00:00:00:00", 7, "02:00:00:00:00:00"),
    ("02:00:00:00:10:00+id", 0, "02:00:00:00:10:00"),
    ("02:00:00:00:10:00+id", 255, "02:00:00:00:10:ff"),
    ("02:00:00:00:10:00+id", 256, "02:00:00:00:11:00"),
    ("02:00:00:00:ff:ff+id", 1, "02:00:00:01:00:00"),
    ("02:00:00:ff:ff:f0+id", 15, "02:00:00:ff:ff:ff"),
    ("02:00:00:00:00:ff:ff:f0+id", 15, "02:00:00:00:00:ff:ff:ff"),
]


@pytest.mark.parametrize(("text", "vf_id", "expected"), BASES)
def test_base(text: str, vf_id: int, expected: str) -> None:
    _derived.check_ids(text, [vf_id], "mac")
    assert _derived.address(text, vf_id, None) == expected


@pytest.mark.parametrize(("base", "highest", "room"), [("02:00:00:ff:ff:f0", 16, 15), ("02:ff:ff:ff:ff:ff", 1, 0)])
def test_base_that_overflows(base: str, highest: int, room: int) -> None:
    """A base whose carry would change the prefix.

    In the end it would change the multicast bit.
    """
    with pytest.raises(BadInputError, match=rf"x: {base}\+id overflows with VF {highest}: .* up to id {room};"):
        _derived.check_ids(f"{base}+id", [0, highest], "x")


def test_nothing_overflows_without_ids() -> None:
    _derived.check_ids("02:00:00:ff:ff:ff+id", [], "x")
    _derived.check_ids("02:00:00:ff:ff:ff", [1], "x")
    _derived.check_ids(None, [1], "x")


def test_hash_is_fixed() -> None:
    """The same addresses as those of earlier versions.

    Hosts that were set up with one must keep them. `printf 'kvmfleet.sriov mac 00:1b:21:aa:bb:cc 5' | sha256sum` begins
    with 13c6865a3a15; 13 is multicast, 12 is not.
    """
    assert _derived.address("hash", 5, "00:1B:21:AA:BB:CC") == "12:c6:86:5a:3a:15"
    assert _derived.address("hash", 5, None) == "hash"


@given(st.binary(min_size=6, max_size=6), st.integers(0, 65534))
def test_hash_is_locally_administered_and_unicast(identity: bytes, vf_id: int) -> None:
    address = _derived.address("hash", vf_id, identity.hex(":"))
    assert _derived.validate(address, 6, "x") == address
    assert int(address[:2], 16) & 3 == 2


def test_vfs_and_pfs_differ() -> None:
    pfs = ("00:1b:21:aa:bb:cc", "00:1b:21:aa:bb:cd")
    addresses = [_derived.address("hash", vf_id, pf) for pf in pfs for vf_id in range(256)]
    assert len(set(addresses)) == 512


# what is given, octets, whether a hash is allowed, what it becomes
GOOD = [
    ("02:00:00:00:00:01", 6, True, "02:00:00:00:00:01"),
    (" AA:BB:CC:00:00:01 ", 6, True, "aa:bb:cc:00:00:01"),
    ("AA:BB:CC:00:00:01+ID", 6, True, "aa:bb:cc:00:00:01+id"),
    ("hash", 6, True, "hash"),
    ("00:00:00:00:00:00", 6, True, "00:00:00:00:00:00"),
    ("01:00:00:00:00:00:00:01+id", 8, False, "01:00:00:00:00:00:00:01+id"),
]


@pytest.mark.parametrize(("value", "octets", "hashed", "expected"), GOOD)
def test_validate(value: str, octets: int, hashed: bool, expected: str) -> None:
    assert _derived.validate(value, octets, "x", hashed=hashed) == expected
    assert _derived.is_derived(expected) == (expected.endswith("+id") or expected == "hash")


@pytest.mark.parametrize("value", ["03:00:00:00:00:01", "hash", "02:00:00:00:00:01+ids", "+id", "02-00-00-00-00-01", 7])
def test_validate_refuses(value: object) -> None:
    with pytest.raises(BadInputError, match=r"x: .* is not a unicast MAC address; write it like '02:00:00:00:00:01'"):
        _derived.validate(value, 6, "x")
