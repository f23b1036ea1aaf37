# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grouping of VFs into the few entries of a host document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Union

from .._model import addresses
from .._model.properties import ADDRESSES
from .._model.property_table import ATTRIBUTES
from .._model.vf_ids import compress
from .id_sets import ALL

_TOGETHER = tuple(tuple(row.name for row in rows) for rows in ATTRIBUTES if len(rows) > 1)
"""Keys that are checked, and set in the kernel, as one."""
_LOW = 3
"""Octets of an address that ids are added to, see `addresses`."""

_Unit = tuple[Union[int, None], tuple[tuple[str, Any], ...]]
"""Keys with their values that stay together in one entry.

The id is that of a VF that must have an entry of its own, else None.
"""


def vf_groups(desired: Mapping[int, Mapping[str, Any]], number: int | None = None) -> list[dict[str, Any]]:
    """Entries for ``vfs`` of a PF, with equal values grouped.

    Wide entries come first. ``desired`` has hashable values by key, by VF id. Ids are `all` where they are those of
    ``number`` VFs, if more than one, because some keys are for single ids.
    """
    holders: dict[_Unit, set[int]] = {}
    for vf_id, values in _with_bases(desired).items():
        for unit in _units(vf_id, values):
            holders.setdefault(unit, set()).add(vf_id)
    entries: dict[frozenset[int], dict[str, Any]] = {}
    for (_alone, pairs), ids in holders.items():
        entries.setdefault(frozenset(ids), {}).update(pairs)
    ordered = sorted(entries.items(), key=lambda entry: (-len(entry[0]), min(entry[0])))
    every = frozenset(range(number)) if number and number > 1 else None
    return [{"ids": ALL if ids == every else compress(ids), **values} for ids, values in ordered]


def _units(vf_id: int, values: Mapping[str, Any]) -> Iterator[_Unit]:
    """The values of a VF in the smallest parts for different entries."""
    left = dict(values)
    for keys in _TOGETHER:
        pairs = tuple((key, left.pop(key)) for key in keys if key in left)
        if pairs:
            yield None, pairs
    for key, value in left.items():
        yield vf_id if key in ADDRESSES and not addresses.is_derived(value) else None, ((key, value),)


def _with_bases(desired: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Desired values by rising VF id, with shared base addresses.

    Addresses of several VFs that are one base plus the VF's id are written so.
    """
    result = {vf_id: dict(values) for vf_id, values in sorted(desired.items())}
    for key in ADDRESSES:
        bases = {vf_id: base for vf_id, values in result.items() if (base := _base(values.get(key), vf_id))}
        shared = Counter(bases.values())
        for vf_id, base in bases.items():
            if shared[base] > 1:
                result[vf_id][key] = base
    return result


def _base(text: str | None, vf_id: int) -> str | None:
    """The base from which `addresses.address` derives ``text`` for this VF.

    None where there is no such base.
    """
    if text is None or addresses.is_derived(text):
        return None
    octets = bytes.fromhex(text.replace(":", ""))
    low = int.from_bytes(octets[-_LOW:], "big") - vf_id
    if low < 0 or (not any(octets[:-_LOW]) and not low):
        return None
    return ":".join(f"{octet:02x}" for octet in octets[:-_LOW] + low.to_bytes(_LOW, "big")) + addresses.PLUS_ID
