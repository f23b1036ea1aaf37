# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a present VF's own device: MSI-X vectors, MTU, name."""

from __future__ import annotations

from typing import Any, NamedTuple

from .drivers import facts_of


class VfDevice(NamedTuple):
    """Settings of a VF's device, values by name.

    None is "not given" in a spec, "absent or not read" in a reading. The rows of `property_table` describe each.
    ``msix_vectors`` is written to ``sriov_vf_msix_count`` (drivers/pci/iov.c) and read as the size of the VF's MSI-X
    table.
    """

    # BEGIN GENERATED vf device fields: `make generate` writes it from property_table.py
    msix_vectors: int | None = None
    mtu: int | None = None
    name: str | None = None
    # END GENERATED

    def __bool__(self) -> bool:
        return any(value is not None for value in self)

    def to_dict(self) -> dict[str, Any]:
        """Given values by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def over(self, other: VfDevice) -> VfDevice:
        """``other`` with everything given here put over it."""
        return VfDevice(**{**other.to_dict(), **self.to_dict()})

    def of_vf(self, vf_id: int) -> VfDevice:
        """These settings with a derived name resolved for VF ``vf_id``."""
        if self.name is None:
            return self
        from . import interface_names

        return self._replace(name=interface_names.of_vf(self.name, vf_id))


NAMES = VfDevice._fields
READ = tuple(name for name in NAMES if name != "name")
"""Names of what is read of all VFs.

That of an interface is known (`state.VfState.netdev`), and it changes with the driver.
"""


def as_declared(wanted: int, table: int | None, pf_driver: str | None) -> int | None:
    """``wanted`` where the MSI-X table's size results from it, else ``table``.

    The PF's driver may add vectors of its own.
    """
    allowed = (wanted, wanted + facts_of(pf_driver).control_vectors)
    return wanted if table in allowed else table


def number_for(table: int, pf_driver: str | None) -> int:
    """The number to write for an MSI-X table of ``table`` vectors."""
    return table - facts_of(pf_driver).control_vectors
