# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of VF ids in documents, where `all` stands for every id."""

from __future__ import annotations

from typing import Union, cast

from .._model import vf_ids

ALL = "all"
UNMANAGED = "unmanaged"
"""Presence that others decide.

VFs stay as they are, and none is added where the kernel can leave it out.
"""


Ids = Union["frozenset[int]", str]
"""A set of VF ids, or `ALL` until `resolve` knows their number."""


def resolve_ids(ids: Ids, number: int, what: str) -> frozenset[int]:
    return vf_ids.parse(ids, number, what) if isinstance(ids, str) else vf_ids.below(ids, number, what)


def ids_text(ids: Ids) -> str:
    return ids if isinstance(ids, str) else vf_ids.describe(ids)


def present_ids_of(value: object, where: str) -> Ids:
    """`ids_of` of VFs to be present, or `UNMANAGED`."""
    is_word = isinstance(value, str) and value.strip() == UNMANAGED
    return UNMANAGED if is_word else ids_of(value, where)


def ids_of(value: object, where: str) -> Ids:
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    if isinstance(value, str) and value.strip() == ALL:
        return ALL
    return vf_ids.parse(cast(vf_ids.IdsInput, value), vf_ids.MAX_VFS, where)
