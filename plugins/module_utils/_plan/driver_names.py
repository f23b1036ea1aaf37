# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of drivers, where those of modules were meant."""

from __future__ import annotations

from collections.abc import Iterator

from .._model.state import PfState
from .._model.vf_ids import describe
from .goal import Goal

_DRIVERS_OF_MODULES = ("vfio-pci", "pci-stub", "pci-pf-stub", "virtio-pci")
"""Drivers whose modules have the same name with underscores."""


def reasons(current: PfState, goal: Goal) -> Iterator[str]:
    """Reasons against drivers that are known by another name."""
    by_name: dict[str, list[int]] = {}
    for vf_id, driver in goal.target.drivers.items():
        if driver is not None and driver not in current.bus_drivers:
            by_name.setdefault(driver, []).append(vf_id)
    for driver, ids in sorted(by_name.items()):
        if alike := _alike(driver, current.bus_drivers):
            yield f"driver '{driver}' of VFs {describe(ids)} is the name of a module; that of the driver is '{alike}'"


def _alike(driver: str, known: frozenset[str]) -> str | None:
    """The driver that is meant by a name with other hyphens."""
    plain = driver.replace("-", "_")
    found = [one for one in (*sorted(known), *_DRIVERS_OF_MODULES) if one.replace("-", "_") == plain and one != driver]
    return found[0] if found else None
