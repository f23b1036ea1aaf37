# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VF id sets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

# input, total, ids
GOOD: list[tuple[Any, int, set[int]]] = [
    ("0-3,200", 256, {0, 1, 2, 3, 200}),
    ("7", 8, {7}),
    (" 1 - 2 , 5 ", 8, {1, 2, 5}),
    ("3,1,1-2", 8, {1, 2, 3}),
    ("all", 3, {0, 1, 2}),
    ("all", 0, set()),
    ("none", 3, set()),
    (5, 8, {5}),
    ([], 8, set()),
    ([0, 4], 8, {0, 4}),
    (["0-1", 4], 8, {0, 1, 4}),
    (("2,3",), 8, {2, 3}),
]


@pytest.mark.parametrize(("ids", "total", "expected"), GOOD)
def test_parse(ids: Any, total: int, expected: set[int]) -> None:  # noqa: ANN401 - bad input is of any type
    assert vf_ids.parse(ids, total) == expected


# input, total, words of the message
BAD: list[tuple[Any, int, str]] = [
    ("", 8, "X: '' is not a VF id"),
    (",", 8, "'' is not a VF id"),
    ("1-", 8, "'1-' is not a VF id"),
    ("-1", 8, "'-1' is not a VF id"),
    ("0x1", 8, "'0x1' is not a VF id"),
    ("\u0663", 8, "is not a VF id"),
    ("3-1", 8, "the range '3-1' runs backwards; write '1-3'"),
    ("0-8", 8, "X: 8 is out of range: the highest one is 7"),
    ("0", 0, "0 is out of range: there are none"),
    ("2,9-11", 8, "9-11 is out of range"),
    ("0-99999999999", 8, "99999999999 is out of range: no PF has more than 65535 VFs"),
    (True, 8, "true is not a list of VF ids"),
    (1.5, 8, "1.5 is not a list of VF ids"),
    (None, 8, "null is not a list of VF ids"),
    ([True], 8, "true is not a VF id"),
    ([-1], 8, "'-1' is not a VF id"),
    ([1.5], 8, "1.5 is not a VF id"),
    ("9" * 5000, 8, "9...' is not a VF id"),
    ([10**5000], 8, "a value that is too long to show is not a VF id"),
    (",".join(["0-65534"] * 5), 65535, "X: the list names more than 262140 ids; name each of them once"),
    ("\x1b[2J", 8, r"X: '\x1b[2J' is not a VF id"),
    (",".join(map(str, range(0, 9999, 2))), 1, "... is out of range: the highest one is 0"),
]


@pytest.mark.parametrize(("ids", "total", "words"), BAD)
def test_parse_refuses(ids: Any, total: int, words: str) -> None:  # noqa: ANN401 - bad input is of any type
    with pytest.raises(BadInputError) as caught:
        vf_ids.parse(ids, total, "X")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("ids", "text"),
    [([], ""), ([4], "4"), ([0, 1], "0-1"), ([5, 3, 4], "3-5"), ([0, 2, 3, 9], "0,2-3,9"), ([1, 1], "1")],
)
def test_compress(ids: list[int], text: str) -> None:
    assert vf_ids.compress(ids) == text
    assert vf_ids.describe(ids) == (text or "none")


@given(st.frozensets(st.integers(0, 5000)))
def test_parse_undoes_describe(ids: frozenset[int]) -> None:
    assert vf_ids.parse(vf_ids.describe(ids), 5001) == ids


@given(st.frozensets(st.integers(0, 65534), max_size=2000), st.integers(11, 100))
def test_chunks_are_all_ids_in_order_and_short(ids: frozenset[int], limit: int) -> None:
    chunks = vf_ids.chunks(ids, limit)
    assert [number for chunk in chunks for number in sorted(chunk)] == sorted(ids)
    assert all(0 < len(vf_ids.compress(chunk)) <= limit for chunk in chunks)


def test_worst_list_needs_several_writes() -> None:
    """1,024 alternate ids, which do not fit into one write.

    A write has at most a page; 65,535 VFs all present do fit.
    """
    assert [len(vf_ids.compress(chunk)) <= 4095 for chunk in vf_ids.chunks(range(0, 2048, 2))] == [True, True]
    assert len(vf_ids.chunks(range(65535))) == 1


# numbers of ids with four and with five digits, length of their list, writes
LENGTHS = [(818, 1, 4095, 1), (817, 2, 4096, 2)]


@pytest.mark.parametrize(("four", "five", "length", "writes"), LENGTHS)
def test_a_list_is_as_long_as_one_write_may_be(four: int, five: int, length: int, writes: int) -> None:
    ids = [*range(1000, 1000 + 2 * four, 2), *range(10000, 10000 + 2 * five, 2)]
    assert len(vf_ids.compress(ids)) == length
    assert len(vf_ids.chunks(ids)) == writes
