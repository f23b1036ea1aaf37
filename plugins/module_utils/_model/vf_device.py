# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a present VF's own device: its MSI-X vectors and the MTU of its network interface."""

from __future__ import annotations

from typing import NamedTuple

from .drivers import facts_of


class VfDevice(NamedTuple):
    """Values by name; None is "not given" in a spec, "there is none, or it was not read" in a reading.

    The rows of `property_table` say what each is. ``msix_vectors`` is written to ``sriov_vf_msix_count``
    (drivers/pci/iov.c) and read as the size of the VF's MSI-X table.
    """

    # BEGIN GENERATED vf device fields: `make generate` writes it from property_table.py
    msix_vectors: int | None = None
    mtu: int | None = None
    # END GENERATED

    def __bool__(self) -> bool:
        return self.msix_vectors is not None or self.mtu is not None

    def to_dict(self) -> dict[str, int]:
        """Only what is given."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def over(self, other: VfDevice) -> VfDevice:
        """``other`` with everything given here put over it."""
        return VfDevice(**{**other.to_dict(), **self.to_dict()})


NAMES = VfDevice._fields


def as_declared(wanted: int, table: int | None, pf_driver: str | None) -> int | None:
    """``wanted`` when a table of ``table`` vectors is what the PF's driver makes of it, else ``table``."""
    allowed = (wanted, wanted + facts_of(pf_driver).control_vectors)
    return wanted if table in allowed else table


def number_for(table: int, pf_driver: str | None) -> int:
    """What to write for a table of ``table`` vectors."""
    return table - facts_of(pf_driver).control_vectors
