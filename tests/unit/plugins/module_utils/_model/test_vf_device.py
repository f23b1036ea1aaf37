# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors and MTU of a VF."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_device import VfDevice, as_declared, number_for

# written, size of the table, driver of the PF, what counts as the number
TABLES = [
    (16, 16, "mlx5_core", 16),
    (16, 17, "mlx5_core", 17),
    (16, 17, "ice", 16),  # its own vector comes on top
    (16, 16, "ice", 16),
    (16, 18, "ice", 18),
    (16, None, "ice", None),
    (16, 8, None, 8),
]


@pytest.mark.parametrize(("wanted", "table", "driver", "expected"), TABLES)
def test_as_declared(wanted: int, table: int | None, driver: str | None, expected: int | None) -> None:
    assert as_declared(wanted, table, driver) == expected


@pytest.mark.parametrize(("driver", "number"), [("mlx5_core", 17), ("ice", 16)])
def test_number_for_a_table(driver: str, number: int) -> None:
    assert number_for(17, driver) == number
    assert as_declared(number, 17, driver) == number


def test_over() -> None:
    assert VfDevice(4).over(VfDevice(8, 1500)) == VfDevice(4, 1500)
    assert not VfDevice()
    assert VfDevice(mtu=1500).to_dict() == {"mtu": 1500}
