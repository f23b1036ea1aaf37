# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lack of a driver is refused, in check mode too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import NO_IOMMU_MODE
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PF = "0000:03:00.0"
ALL: dict[str, Any] = {"hardware_vfs": 2, "present_vfs": "all"}


def host_with(folder: Path, interface: str = "vf-id", **fields: object) -> tuple[FakeHost, FakePf]:
    host = FakeHost(folder / "root", interface)
    pf = host.igb(PF)
    for name, value in fields.items():
        setattr(pf, name, value)
    host.draw()
    return host, pf


def declare(host: FakeHost, check: bool = False, **spec: Any) -> None:  # noqa: ANN401 - values of a document
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": PF, **spec}]}), check=check)


def bound_to(driver: str) -> dict[str, Any]:
    return {**ALL, "vfs": [{"ids": "0-1", "driver": driver}]}


# fields of the PF, what is declared, the message
CASES: list[tuple[dict[str, object], dict[str, Any], str]] = [
    ({"driver": None}, ALL, "it has no driver, and only a driver that supports SR-IOV changes its VFs (ENOENT)"),
    ({"driver": None}, {"hardware_vfs": 1}, "it has no driver"),
    (
        {},
        bound_to("vfio_pci"),
        "driver 'vfio_pci' of VFs 0-1 is the name of a module; that of the driver is 'vfio-pci'",
    ),
    ({}, bound_to("pci_stub"), "that of the driver is 'pci-stub'"),
    ({}, bound_to("igb-vf"), "driver 'igb-vf' is not registered, and modprobe would not load it: modprobe: FATAL"),
    ({}, bound_to("nowhere"), "driver 'nowhere' is not registered"),
    ({"iommu_type": None}, bound_to("vfio-pci"), "VFs 0-1 cannot be bound to vfio-pci: the PF has no iommu_group"),
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("interface", ["vf-id", "stock"])
@pytest.mark.parametrize(("fields", "spec", "words"), CASES)
def test_refused_before_anything(
    tmp_path: Path, interface: str, fields: dict[str, object], spec: dict[str, Any], words: str, check: bool
) -> None:
    host, _pf = host_with(tmp_path, interface, **fields)
    before = host.picture()
    with pytest.raises(BadInputError) as caught:
        declare(host, check, **spec)
    assert words in str(caught.value)
    assert (host.picture(), host.sysfs.writes, host.actions) == (before, [], 0)


def test_a_driver_with_underscores_that_is_registered(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path)
    host.drivers.add("mlx5_vfio_pci")
    host.draw()
    declare(host, **bound_to("mlx5_vfio_pci"))
    assert {vf.driver for vf in pf.vfs.values()} == {"mlx5_vfio_pci"}


def test_vfio_that_may_do_without_an_iommu(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path, iommu_type=None)
    users.put(host, NO_IOMMU_MODE[1:], "Y\n")
    declare(host, **bound_to("vfio-pci"))
    assert {vf.driver for vf in pf.vfs.values()} == {"vfio-pci"}


def test_a_driver_that_is_switched_off(tmp_path: Path) -> None:
    """modprobe ends well, and loads nothing."""
    host, _pf = host_with(tmp_path)
    host.run.switched_off.add("vfio-pci")
    with pytest.raises(BadInputError, match=r"would not load it: modprobe\.d has 'install /bin/false' for it"):
        declare(host, check=True, **bound_to("vfio-pci"))


def test_without_modprobe_nothing_is_known(tmp_path: Path) -> None:
    host, _pf = host_with(tmp_path)
    host.run.missing.add("modprobe")
    declare(host, check=True, **bound_to("vfio-pci"))


def test_a_pf_without_a_driver_that_has_what_is_declared(tmp_path: Path) -> None:
    host, pf = host_with(tmp_path, driver=None)
    declare(host, hardware_vfs=0, drivers_autoprobe=False)
    assert pf.autoprobe is False
