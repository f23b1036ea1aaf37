# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compliance check notices one VF of many that differs.

How little it reads is in test_unchanged_host.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge, read_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import VfState
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

MLX5 = "0000:05:00.0"
LAST = 7


@pytest.fixture
def pf(tmp_path: Path) -> tuple[FakeHost, FakePf]:
    """Eight VFs, all bound to the driver that the kernel chooses."""
    host = FakeHost(tmp_path, drivers=("mlx5_core", "vfio-pci"))
    pf = host.mlx5(MLX5)
    host.setup(pf, 8, range(8), "mlx5_core")
    for vf in pf.vfs.values():
        vf.override = None
    host.draw()
    return host, pf


def spoil(**values: Any) -> Callable[[FakePf], None]:  # noqa: ANN401 - values of several types
    """Change attributes of the last VF."""

    def act(pf: FakePf) -> None:
        for name, value in values.items():
            setattr(pf.vfs[LAST], name, value)

    return act


def vlan(pf: FakePf) -> None:
    pf.properties[LAST]["vlan"] = 9


def vectors(pf: FakePf) -> None:
    pf.vectors[LAST] = 9


def gone(pf: FakePf) -> None:
    del pf.vfs[LAST]


def autoprobe(pf: FakePf) -> None:
    pf.autoprobe = False


# spec that the host is as, what changes, step that brings it back
DIFFERENCES: list[tuple[dict[str, Any], Callable[[FakePf], None], str]] = [
    ({"present_vfs": "all"}, gone, "add"),
    ({"drivers_autoprobe": True}, autoprobe, "autoprobe"),
    ({"mtu": 1500}, lambda pf: setattr(pf, "mtu", 1400), "mtu"),
    ({"eswitch_mode": "legacy"}, lambda pf: setattr(pf, "eswitch", "switchdev"), "eswitch"),
    ({"vfs": [{"ids": "all", "driver": "mlx5_core"}]}, spoil(driver=None), "bind"),
    ({"vfs": [{"ids": "all", "driver": "mlx5_core"}]}, spoil(driver="vfio-pci", override="vfio-pci"), "bind"),
    ({"vfs": [{"ids": "all", "driver": "default"}]}, spoil(override="mlx5_core"), "override"),
    ({"vfs": [{"ids": "all", "driver": "default"}]}, spoil(driver=None, override="vfio-pci"), "override"),
    ({"vfs": [{"ids": "all", "vlan": 0}]}, vlan, "properties"),
    ({"vfs": [{"ids": "all", "msix_vectors": 8}]}, vectors, "msix"),
    ({"vfs": [{"ids": "all", "mtu": 1500}]}, spoil(mtu=1400), "vf mtu"),
]


@pytest.mark.parametrize(("spec", "differ", "step"), DIFFERENCES)
def test_one_vf_that_differs_is_seen(
    pf: tuple[FakeHost, FakePf], spec: dict[str, Any], differ: Callable[[FakePf], None], step: str
) -> None:
    host, fake = pf
    document = validate({"pfs": [{"pf": MLX5, **spec}]})
    assert not converge(host.sysfs, host.run, document, check=True).plan.changed
    differ(fake)
    host.draw()
    asked = converge(host.sysfs, host.run, document, check=True, allow_disruptive=True)
    assert step in [one.what for one in asked.plan.steps]
    done = converge(host.sysfs, host.run, document, allow_disruptive=True)
    assert done.plan.summary() == asked.plan.summary()
    assert not converge(host.sysfs, host.run, document, check=True).plan.changed


def test_details_are_read_once_something_differs(pf: tuple[FakeHost, FakePf]) -> None:
    """Details of all VFs that may be touched, for the undo.

    Those of VFs that are as declared are among them.
    """
    host, fake = pf
    document = validate({"pfs": [{"pf": MLX5, "vfs": [{"ids": "all", "driver": "mlx5_core"}]}]})
    states, _resolved, _reached = read_host(host.sysfs, host.run, document)
    assert states[MLX5].vfs[0] == VfState(fake.vf_address(0), "mlx5_core")
    spoil(driver=None)(fake)
    host.draw()
    states, _resolved, _reached = read_host(host.sysfs, host.run, document)
    netdev = fake.vfs[0].interface_names(fake)[0]
    assert states[MLX5].vfs[0] == VfState(fake.vf_address(0), "mlx5_core", None, str(fake.vfs[0].group), netdev)


def test_vf_that_goes_away_meanwhile_has_no_override(pf: tuple[FakeHost, FakePf]) -> None:
    host, fake = pf
    (host.root / f"sys/bus/pci/devices/{fake.vf_address(LAST)}/driver_override").unlink()
    document = validate({"pfs": [{"pf": MLX5, "vfs": [{"ids": "all", "driver": "default"}]}]})
    states, _resolved, _reached = read_host(host.sysfs, host.run, document)
    assert states[MLX5].vfs[LAST].driver_override is None
