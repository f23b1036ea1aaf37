# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Success without any VF has a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"


def warnings(host: FakeHost, spec: dict[str, Any], check: bool = False) -> tuple[str, ...]:
    return converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}), check=check).plan.warnings


def host_with(folder: Path, total: int = 7, interface: str = "vf-id") -> FakeHost:
    host = FakeHost(folder / "root", interface, drivers=("igb", "igbvf", "vfio-pci"))
    host.igb(PF, total=total)
    return host


DRIVER: dict[str, Any] = {"vfs": [{"ids": "all", "driver": "vfio-pci"}]}
MOST: dict[str, Any] = {"hardware_vfs": "max", "present_vfs": "all"}
# VFs of the device, what is declared, words of the warning, whether another run has it too
WARNED: list[tuple[int, dict[str, Any], str, bool]] = [
    (0, MOST, "hardware_vfs max is 0, as the device offers no VFs (sriov_totalvfs)", True),
    (0, {**MOST, **DRIVER}, "hardware_vfs max is 0", True),
    (7, DRIVER, "vfs are declared, and no VF is enabled, so none has these values", True),
    (7, {"vfs": [{"ids": "all", "vlan": 3}]}, "no VF is enabled", True),
    (7, {"hardware_vfs": 4}, "4 VFs are enabled and none is present, as present_vfs is not declared", False),
]


@pytest.mark.parametrize(("total", "spec", "words", "again"), WARNED)
def test_nothing_there_is_said(tmp_path: Path, total: int, spec: dict[str, Any], words: str, again: bool) -> None:
    host = host_with(tmp_path, total)
    for check in (True, False):
        (text,) = warnings(host, spec, check)
        assert text.startswith(f"PF {PF}: ")
        assert words in text
    assert (len(warnings(host, spec)) == 1) is again


@pytest.mark.parametrize("interface", ["vf-id", "stock"])
@pytest.mark.parametrize(
    "spec", [{"hardware_vfs": 0}, MOST, {"hardware_vfs": 4, "present_vfs": "none"}, {"drivers_autoprobe": False}]
)
def test_what_is_meant_has_none(tmp_path: Path, interface: str, spec: dict[str, Any]) -> None:
    assert warnings(host_with(tmp_path, interface=interface), spec) == ()


def test_stock_kernels_add_all(tmp_path: Path) -> None:
    assert warnings(host_with(tmp_path, interface="stock"), {"hardware_vfs": 4}) == ()
