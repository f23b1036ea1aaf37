# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of PCI devices, wherever they are below them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import netdevs as _netdevs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PF = "0000:08:00.0"
BELOW = ["", "virtio3", "mlx5_core.eth.0"]
"""Parents of interfaces: the PCI device, or devices below it."""

# interfaces of a PF with their port names (None: the driver has none), the PF's own
UPLINKS: list[tuple[dict[str, str | None], str | None, tuple[str, ...]]] = [
    ({}, None, ()),
    ({"eth0": None}, "eth0", ()),
    ({"a": "pf0vf1", "b": "p0", "c": "pf0vf0"}, "b", ()),
    ({"a": "c1pf0vf1", "b": "pf0sf2", "c": None}, "c", ()),
    ({"a": None, "b": None}, "a", ("b",)),
    ({"a": "pf0vf0", "b": "pf0vf1"}, "a", ()),
]


@pytest.mark.parametrize(("netdevs", "expected", "more"), UPLINKS)
def test_uplink_among_representors(
    tmp_path: Path, netdevs: dict[str, str | None], expected: str | None, more: tuple[str, ...]
) -> None:
    for name, port in netdevs.items():
        (tmp_path / "net" / name).mkdir(parents=True)
        if port is not None:
            (tmp_path / "net" / name / "phys_port_name").write_text(f"{port}\n")
    assert _netdevs.names(Sysfs(str(tmp_path)), "/") == ((expected, *more) if expected else ())


def host(folder: Path, below: str, **changes: Any) -> FakeHost:  # noqa: ANN401 - fields of several types
    found = FakeHost(folder, "stock", ("virtio-pci", "vfio-pci"))
    pf = FakePf(PF, 8, "virtio-pci", "eth0", vf_driver="virtio-pci", below=below, vf_below=below, offset=1, stride=1)
    for name, value in changes.items():
        setattr(pf, name, value)
    found.add(pf)
    return found


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("name", ["eth0", {"netdev": "eth*"}, "08:00.0"])
def test_a_pf_is_found_by_its_interface_and_gets_an_mtu(tmp_path: Path, below: str, name: Any) -> None:  # noqa: ANN401 - a selector or a name
    fake = host(tmp_path, below)
    spec = {"pf": name, "mtu": 9000, "hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 1, "mtu": 4000}]}
    assert converge(fake.sysfs, fake.run, validate({"pfs": [spec]})).plan.changed
    assert (fake.pfs[PF].mtu, fake.pfs[PF].vfs[1].mtu) == (9000, 4000)
    assert not converge(fake.sysfs, fake.run, validate({"pfs": [spec]})).plan.changed


@pytest.mark.parametrize("below", BELOW)
def test_interfaces_of_vfs_are_in_use_wherever_they_are(tmp_path: Path, below: str) -> None:
    fake = host(tmp_path, below)
    fake.kernel.write_pf(fake.pfs[PF], "sriov_numvfs", "2")
    fake.draw()
    users.enslave(fake, fake.pfs[PF], 1, "br0", "bridge")
    with pytest.raises(RefusedError, match=r"VF 1 of PF 0000:08:00\.0 by bridge br0"):
        converge(fake.sysfs, fake.run, validate({"pfs": [{"pf": PF, "hardware_vfs": 0, "present_vfs": "none"}]}))


def test_a_driver_of_two_buses_is_no_interface_of_the_pf(tmp_path: Path) -> None:
    """Subfunctions have interfaces below the PF too, and are others."""
    fake = host(tmp_path, "")
    users.put(fake, f"sys/bus/pci/devices/{PF}/mlx5_core.sf.4/net/sf4/mtu", "1500\n")
    assert read_pfs(fake.sysfs)[PF].netdevs == ("eth0",)


def test_a_pf_with_two_ports_is_found_by_each(tmp_path: Path) -> None:
    fake = host(tmp_path, "", more_netdevs=("eth1",))
    plain = {"hardware_vfs": 2, "present_vfs": "all"}
    assert converge(fake.sysfs, fake.run, validate({"pfs": [{"pf": "eth1", **plain}]})).plan.changed
    with pytest.raises(BadInputError, match="PF eth1: mtu would be set through its interface eth0: name that one"):
        converge(fake.sysfs, fake.run, validate({"pfs": [{"pf": "eth1", "mtu": 9000}]}))
