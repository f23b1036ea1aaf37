# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Details that only some specifications need, read for those alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import read_host
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.settings import PfSettings
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_device import NAMES, VfDevice
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import details
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from tests.fake.linux.host import FakeHost

MLX5 = "0000:05:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path, drivers=("mlx5_core", "igb", "igbvf"))
    pf = host.mlx5(MLX5)
    host.setup(pf, 4, [0, 1, 2], "mlx5_core")
    pf.vfs[1].driver, pf.vfs[1].override, pf.vectors[1] = "vfio-pci", "vfio-pci", 12
    pf.mtu, pf.vfs[0].mtu = 9000, 4000
    host.igb(netdev="eth9")
    host.draw()
    return host


def read(host: FakeHost, **spec: Any) -> PfState:  # noqa: ANN401 - values of several types
    host.sysfs.reads.clear()
    states, _document, _reached = read_host(host.sysfs, host.run, validate({"pfs": [{"pf": MLX5, **spec}]}))
    assert [path for path, times in host.sysfs.reads.items() if times > 1] == []
    return states[MLX5]


def names_read(host: FakeHost) -> set[str]:
    return {path.rsplit("/", 1)[1] for path in host.sysfs.reads}


def test_all(host: FakeHost) -> None:
    pf = read_pfs(host.sysfs)[MLX5]
    pf = details.read_devices(host.sysfs, pf, dict.fromkeys(pf.vfs, NAMES))
    assert pf.devices == {
        0: VfDevice(8, 4000, "000005002"), 1: VfDevice(12), 2: VfDevice(8, 1500, "000005004"),
    }  # fmt: skip
    assert pf.total_msix == 256
    wanted = PfSettings("switchdev", 1)
    assert details.read_settings(host.sysfs, host.run, pf, wanted).settings == PfSettings("legacy", 9000)


# spec, what is read of the PF and of VFs, files that are read beside those of every PF
SPECS: list[tuple[dict[str, Any], PfSettings, dict[int, VfDevice], set[str]]] = [
    ({"present_vfs": "0-2"}, PfSettings(), {}, set()),
    ({"vfs": [{"ids": "all", "vlan": 5}]}, PfSettings(), {}, set()),
    ({"mtu": 9000}, PfSettings(mtu=9000), {}, {"mtu"}),
    ({"eswitch_mode": "legacy"}, PfSettings("legacy"), {}, set()),
    ({"vfs": [{"ids": 0, "mtu": 4000}]}, PfSettings(), {0: VfDevice(mtu=4000)}, {"driver_override", "mtu"}),
    ({"vfs": [{"ids": 1, "msix_vectors": 12}]}, PfSettings(), {1: VfDevice(12)}, {"driver_override", "config"}),
    ({"vfs": [{"ids": 0, "driver": "mlx5_core"}]}, PfSettings(), {}, set()),
    ({"vfs": [{"ids": 0, "driver": "default"}]}, PfSettings(), {0: VfDevice(mtu=4000)}, {"driver_override", "mtu"}),
    # what goes away, or gets another driver, loses its interface: undo gives it its MTU again
    ({"vfs": [{"ids": 0, "driver": "vfio-pci"}]}, PfSettings(), {0: VfDevice(mtu=4000)}, {"driver_override", "mtu"}),
    ({"present_vfs": "1-2"}, PfSettings(), {0: VfDevice(mtu=4000)}, {"driver_override", "mtu"}),
    (
        {"hardware_vfs": 8}, PfSettings("legacy"), {0: VfDevice(8, 4000), 1: VfDevice(12), 2: VfDevice(8, 1500)},
        {"driver_override", "mtu", "config"},
    ),
    (
        {"eswitch_mode": "switchdev"}, PfSettings("legacy"),
        {0: VfDevice(mtu=4000), 1: VfDevice(), 2: VfDevice(mtu=1500)}, {"driver_override", "mtu"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "settings", "devices", "files"), SPECS)
def test_no_more_than_a_spec_needs(
    host: FakeHost, spec: dict[str, Any], settings: PfSettings, devices: dict[int, VfDevice], files: set[str]
) -> None:
    read(host)
    usual = names_read(host)
    pf = read(host, **spec)
    assert (pf.settings, pf.devices) == (settings, devices)
    assert names_read(host) - usual - {"sriov_vf_total_msix"} == files


def test_without_an_eswitch(host: FakeHost) -> None:
    pf = read_pfs(host.sysfs)["0000:03:00.0"]
    with pytest.raises(BadInputError, match=r"PF 0000:03:00.0: eswitch_mode cannot be set: .*ENODEV"):
        details.read_settings(host.sysfs, host.run, pf, PfSettings("legacy"))
    assert details.with_mode(host.run, pf) == pf


def test_kernel_without_shared_vectors(host: FakeHost) -> None:
    (host.root / f"sys/bus/pci/devices/{MLX5}/sriov_vf_total_msix").unlink()
    assert details.read_total_msix(host.sysfs, MLX5) == 0


def test_garbage(host: FakeHost) -> None:
    (host.root / f"sys/bus/pci/devices/{MLX5}/sriov_vf_total_msix").write_text("many\n")
    with pytest.raises(SriovError, match="sriov_vf_total_msix holds 'many', which is not a number"):
        details.read_total_msix(host.sysfs, MLX5)


def test_interface_of_a_vf_that_udev_has_renamed(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interface renamed after the reading of its folder.

    Where it is gone altogether, there is none.
    """
    pf = read_pfs(host.sysfs)[MLX5]
    names = host.sysfs.names(f"/sys/bus/pci/devices/{pf.vfs[0].address}/net")
    pf = pf._replace(vfs={vf_id: vf._replace(netdev="eth7") for vf_id, vf in pf.vfs.items() if vf.netdev})
    assert details.read_devices(host.sysfs, pf, {0: ["mtu"]}).devices == {0: VfDevice(mtu=4000)}
    assert names != ["eth7"]
    monkeypatch.setattr(host.sysfs, "names", lambda _path: [])
    assert details.read_devices(host.sysfs, pf, {0: ["mtu"]}).devices == {0: VfDevice()}
