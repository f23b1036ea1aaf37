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
from tests.fake.scenarios.faults import KILL, Killed

PF = "0000:03:00.0"


def warnings(host: FakeHost, spec: dict[str, Any], check: bool = False) -> tuple[str, ...]:
    return converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}), check=check).plan.warnings


def host_with(folder: Path, total: int = 7, interface: str = "vf-id") -> FakeHost:
    host = FakeHost(folder / "root", interface, drivers=("igb", "igbvf", "vfio-pci"))
    host.igb(PF, total=total)
    return host


DRIVER: dict[str, Any] = {"vfs": [{"ids": "all", "driver": "vfio-pci"}]}
MOST: dict[str, Any] = {"hardware_vfs": "max", "present_vfs": "all"}
# VFs of the device, what is declared, words of the warning
WARNED: list[tuple[int, dict[str, Any], str]] = [
    (0, MOST, "hardware_vfs comes to 0, as the device offers no VFs (sriov_totalvfs)"),
    (0, {**MOST, **DRIVER}, "hardware_vfs comes to 0"),
    (0, {"hardware_vfs": {"at_most": 4}}, "hardware_vfs comes to 0"),
    (7, DRIVER, "vfs are declared, and no VF is enabled, so none has these values"),
    (7, {"vfs": [{"ids": "all", "vlan": 3}]}, "no VF is enabled"),
]


@pytest.mark.parametrize(("total", "spec", "words"), WARNED)
def test_nothing_there_is_said(tmp_path: Path, total: int, spec: dict[str, Any], words: str) -> None:
    host = host_with(tmp_path, total)
    for check in (True, False):
        (text,) = warnings(host, spec, check)
        assert text.startswith(f"PF {PF}: ")
        assert words in text
    assert len(warnings(host, spec)) == 1


@pytest.mark.parametrize("interface", ["vf-id", "stock"])
@pytest.mark.parametrize(
    "spec", [{"hardware_vfs": 0}, MOST, {"hardware_vfs": 4, "present_vfs": "none"}, {"drivers_autoprobe": False}]
)
def test_what_is_meant_has_none(tmp_path: Path, interface: str, spec: dict[str, Any]) -> None:
    assert warnings(host_with(tmp_path, interface=interface), spec) == ()


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow", "stock"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_number_alone_means_the_same_everywhere(tmp_path: Path, interface: str, before: int) -> None:
    """All VFs are present, however many were."""
    host = host_with(tmp_path, interface=interface)
    (pf,) = host.pfs.values()
    host.setup(pf, before, frozenset(range(before)), None)
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, "hardware_vfs": 4}]}), allow_disruptive=True)
    assert (pf.enabled, set(pf.vfs)) == (4, {0, 1, 2, 3})
    assert warnings(host, {"hardware_vfs": 4}) == ()


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow"])
def test_a_killed_run_leaves_no_vfs_out(tmp_path: Path, interface: str) -> None:
    """The number alone would look as declared then."""
    at = set()
    for step in range(1, 20):
        host = host_with(tmp_path / str(step), interface=interface)
        (pf,) = host.pfs.values()
        host.faults = {step: KILL}
        spec = validate({"pfs": [{"pf": PF, "hardware_vfs": 4}]})
        try:
            converge(host.sysfs, host.run, spec)
            break
        except Killed:
            at.add((pf.enabled, len(pf.vfs)))
        host.faults, host.dead = {}, False
        converge(host.sysfs, host.run, spec)
        assert (pf.enabled, set(pf.vfs)) == (4, {0, 1, 2, 3})
        assert not converge(host.sysfs, host.run, spec).plan.changed
    assert (4, 0 if interface == "vf-id" else 1) in at


@pytest.mark.parametrize(("interface", "present"), [("vf-id", ""), ("vf-id-narrow", "0"), ("stock", "0123")])
def test_vfs_that_others_manage_are_left_to_them(tmp_path: Path, interface: str, present: str) -> None:
    host = host_with(tmp_path, interface=interface)
    (pf,) = host.pfs.values()
    spec = {"hardware_vfs": 4, "present_vfs": "unmanaged"}
    assert warnings(host, spec) == ()
    assert (pf.enabled, "".join(map(str, sorted(pf.vfs)))) == (4, present)
