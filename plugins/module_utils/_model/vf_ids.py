# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of VF ids: texts like ``"0-3,200"`` outside, frozensets inside.

People, documents and the kernel write the texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Union

from .errors import BadInputError
from .values import cut, shown

MAX_VFS = 65535
"""The largest TotalVFs, a 16 bit register.

PCIe base specification, SR-IOV extended capability, offset 0Eh.
"""

WRITE_LIMIT = 4095
"""Bytes of one list in a write.

kernfs cuts a write at a page, perhaps inside a number (fs/kernfs/file.c, atomic_write_len).
"""

IdsInput = Union[str, int, Sequence[Union[int, str]]]

_PART = r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?"

_MOST_NAMED = 4 * MAX_VFS
"""Ids that one list may name, repeated ones too."""


def parse(ids: IdsInput, total: int, what: str = "VF ids") -> frozenset[int]:
    """The set of VF ids in a declared value.

    ``ids``: ``"0-3,200"``, a list of numbers or such texts, ``all`` (ids below ``total``) or ``none``. Raises
    `BadInputError`, naming ``what``, for anything else and for an id that is not below ``total``.
    """
    found: set[int] = set()
    named = 0
    for part in _parts(ids, what):
        some = _range(part, total, what)
        named += len(some)
        if named > _MOST_NAMED:
            raise BadInputError(f"{what}: the list names more than {_MOST_NAMED} ids; name each of them once")
        found.update(some)
    return below(frozenset(found), total, what)


def below(ids: frozenset[int], total: int, what: str) -> frozenset[int]:
    """``ids`` if all are below ``total``, else `BadInputError` naming ``what``."""
    outside = [number for number in ids if number >= total]
    if outside:
        highest = f"the highest one is {total - 1}" if total else "there are none"
        raise BadInputError(
            f"{what}: {cut(compress(outside))} is out of range: {highest}; use lower ids or enable more VFs"
        )
    return ids


def compress(ids: Iterable[int]) -> str:
    """The shortest list that the kernel takes, ``"0-3,200"``.

    An empty text for no ids.
    """
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in _runs(ids))


def describe(ids: Iterable[int]) -> str:
    """The shortest list for people: `compress`, or ``none``."""
    return compress(ids) or "none"


def chunks(ids: Iterable[int], limit: int = WRITE_LIMIT) -> list[frozenset[int]]:
    """Sets of rising ids whose lists have at most ``limit`` bytes."""
    result: list[frozenset[int]] = []
    current: set[int] = set()
    size = 0
    for first, last in _runs(ids):
        text = str(first) if first == last else f"{first}-{last}"
        if current and size + 1 + len(text) > limit:
            result.append(frozenset(current))
            current, size = set(), 0
        size += len(text) + (1 if current else 0)
        current.update(range(first, last + 1))
    return [*result, frozenset(current)] if current else result


def _parts(ids: IdsInput, what: str) -> list[str]:
    """The comma-separated pieces of any accepted input."""
    if isinstance(ids, bool) or not isinstance(ids, (str, int, list, tuple, set, frozenset)):
        raise BadInputError(f"{what}: {shown(ids)} is not a list of VF ids; write '0-3,200', a list, 'all' or 'none'")
    if isinstance(ids, (str, int)):
        text = ids.strip() if isinstance(ids, str) else _number(ids, what)
        return [] if text == "none" else text.split(",")
    return [part for item in ids for part in (item.split(",") if isinstance(item, str) else [_number(item, what)])]


def _number(item: object, what: str) -> str:
    if isinstance(item, bool) or not isinstance(item, int) or abs(item) >= 10**18:
        raise BadInputError(f"{what}: {shown(item)} is not a VF id; use whole numbers from 0 on")
    return str(item)


def _range(part: str, total: int, what: str) -> range:
    """The ids of one piece, ``7``, ``3-9`` or ``all``."""
    if part.strip() == "all":
        return range(total)
    match = re.fullmatch(_PART, part, re.ASCII)
    if not match:
        raise BadInputError(
            f"{what}: {shown(part)} is not a VF id or a range; write '0-3,200', a list, 'all' or 'none'"
        )
    first = int(match.group(1))
    last = int(match.group(2) or first)
    if last < first:
        raise BadInputError(f"{what}: the range '{part}' runs backwards; write '{last}-{first}'")
    if last >= MAX_VFS:
        raise BadInputError(f"{what}: {last} is out of range: no PF has more than {MAX_VFS} VFs")
    return range(first, last + 1)


def _runs(ids: Iterable[int]) -> list[tuple[int, int]]:
    """First and last id of each unbroken run, rising."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(ids)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
