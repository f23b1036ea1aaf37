# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings that no document can have.

Drivers report some, such as VLAN 4095 (mlx4), and none of them shall be declared, or set again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import addresses
from .errors import BadInputError
from .property_row import Property


def impossible(rows: Iterable[Property], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the ``values``, by name, that are none of their properties."""
    return {
        row.name: values[row.name]
        for row in rows
        if row.name in values and not (_is_one(row, values[row.name]) and _is_within(row, values))
    }


def _is_one(row: Property, value: object) -> bool:
    try:
        return bool(row.kind.check(value, row.name) == value) and not _is_rule(value)
    except BadInputError:
        return False


def _is_rule(value: object) -> bool:
    """Whether a document would derive values from it, which no VF has."""
    return isinstance(value, str) and addresses.is_derived(value)


def _is_within(row: Property, values: Mapping[str, Any]) -> bool:
    """Whether a value is not above the one that limits it."""
    most = values.get(row.at_most)
    return not most or not isinstance(most, int) or values[row.name] <= most
