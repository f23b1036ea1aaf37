# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VF that is present has as a device of its own: its MSI-X vectors and the MTU of its network interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .drivers import facts_of
from .errors import BadInputError

MAX_MTU = 65535
"""Of IP; network devices allow less, `_netdev.Link` says how much."""

MAX_VECTORS = 2048
"""Of an MSI-X table (PCIe base specification, 7.7.2.2: Table Size is an 11 bit field, less one)."""

_RANGES = {"msix_vectors": (1, MAX_VECTORS), "mtu": (68, MAX_MTU)}


class VfDevice(NamedTuple):
    """None is "not given" in a wish, "there is none, or it was not read" in a reading.

    ``msix_vectors`` is what is written to ``sriov_vf_msix_count`` (drivers/pci/iov.c) and read as the size of the VF's
    MSI-X table; ``mtu`` is in bytes.
    """

    msix_vectors: int | None = None
    mtu: int | None = None

    def __bool__(self) -> bool:
        return self.msix_vectors is not None or self.mtu is not None

    def to_dict(self) -> dict[str, int]:
        """Only what is given."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def over(self, other: VfDevice) -> VfDevice:
        """``other`` with everything given here put over it."""
        return VfDevice(**{**other.to_dict(), **self.to_dict()})


NAMES = VfDevice._fields


def as_wished(wanted: int, table: int | None, pf_driver: str | None) -> int | None:
    """``wanted`` when a table of ``table`` vectors is what the PF's driver makes of it, else ``table``."""
    allowed = (wanted, wanted + facts_of(pf_driver).control_vectors)
    return wanted if table in allowed else table


def number_for(table: int, pf_driver: str | None) -> int:
    """What to write for a table of ``table`` vectors."""
    return table - facts_of(pf_driver).control_vectors


def validate(data: Mapping[str, Any], where: str) -> VfDevice:
    """The settings among the keys of ``data``; raises `BadInputError` naming the key's path and what is allowed."""
    return VfDevice(**{name: number(data[name], f"{where}.{name}", name) for name in NAMES if name in data})


def number(value: object, where: str, name: str) -> int:
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInputError(f"{where}: {value!r} is not a whole number from {low} to {high}")
    return value
