# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of PFs and VFs.

The fake's own arithmetic is the oracle for addresses.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import kernel_interface, state
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, KernelError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import vf_address
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import pfs as _state
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

IGB, NVME = "0000:03:00.0", "0000:04:00.0"
STOCK = ["sriov_totalvfs", "sriov_numvfs"]

# files of a PF, its interface
INTERFACES = [
    (STOCK, "stock"),
    ([*STOCK, "sriov_numvfs_no_scan", "sriov_scan_vf_id"], "vf-id-narrow"),
    ([*STOCK, "sriov_numvfs_no_scan", "sriov_scan_vf_id", "sriov_remove_vf_id"], "vf-id"),
    ([*STOCK, "sriov_scan_vf_id", "sriov_remove_vf_id"], "stock"),
]


@pytest.mark.parametrize(("files", "name"), INTERFACES)
def test_interface_by_files(files: list[str], name: str) -> None:
    assert kernel_interface.of_files(files).name == name


@pytest.mark.parametrize("name", ["stock", "vf-id-narrow", "vf-id"])
def test_interface_of_a_pf(tmp_path: Path, name: str) -> None:
    host = FakeHost(tmp_path, name)
    host.igb(IGB)
    assert _state.read_pfs(host.sysfs)[IGB].interface == name


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(IGB), 7, [0, 6], "vfio-pci")
    host.nvme(NVME)
    return host


def test_reads_what_there_is(host: FakeHost) -> None:
    pfs = _state.read_pfs(host.sysfs)
    igb = pfs[IGB]
    assert list(pfs) == [IGB, NVME]
    assert (igb.total, igb.enabled, igb.present, igb.autoprobe) == (7, 7, frozenset({0, 6}), True)
    assert (igb.driver, igb.netdev, pfs[NVME].netdev) == ("igb", "eth0", None)
    assert igb.vfs[6] == state.VfState("0000:04:11.4", "vfio-pci", "vfio-pci", "2", None)
    assert "vfio-pci" in igb.bus_drivers


def test_each_file_is_read_once(host: FakeHost) -> None:
    _state.read_pfs(host.sysfs)
    assert {path: times for path, times in host.sysfs.reads.items() if times > 1} == {}


def test_without_vfs_their_files_are_not_read(host: FakeHost) -> None:
    assert _state.read_pfs(host.sysfs, vfs=False)[IGB].vfs == {}
    assert not [path for path in host.sysfs.reads if "/0000:04:11" in path]


def test_unknown_address(host: FakeHost) -> None:
    with pytest.raises(
        BadInputError, match=r"PF 0000:09:00.0 is not a PCI device of this host; PFs of this host: 0000:03"
    ):
        _state.read_pfs(host.sysfs, ["0000:09:00.0"])
    with pytest.raises(BadInputError, match=r"PF 0000:04:10.0 is a PCI device without SR-IOV"):
        _state.read_pfs(host.sysfs, ["0000:04:10.0"])


def test_unreadable_and_garbage_name_the_file(host: FakeHost) -> None:
    path = host.root / f"sys/bus/pci/devices/{IGB}/sriov_offset"
    path.write_text("many\n")
    with pytest.raises(SriovError, match="sriov_offset holds 'many', which is not a number"):
        _state.read_pfs(host.sysfs)
    path.unlink()
    with pytest.raises(KernelError, match=r"cannot read /sys/bus/pci/devices/0000:03:00.0/sriov_offset: ENOENT"):
        _state.read_pfs(host.sysfs)


def test_vf_that_goes_away_while_reading(host: FakeHost) -> None:
    pf = _state.read_pfs(host.sysfs, vfs=False)[IGB]
    del host.pfs[IGB].vfs[6]
    host.draw()
    assert list(_state.read_vfs(host.sysfs, pf, pf.present).vfs) == [0]


@pytest.mark.parametrize(("offset", "stride"), [(384, 2), (1, 1), (16, 1), (0x80, 8)])
def test_address_of_absent_vfs(tmp_path: Path, offset: int, stride: int) -> None:
    host = FakeHost(tmp_path)
    fake = host.add(FakePf("0000:3b:1f.7", total=250, offset=offset, stride=stride))
    host.setup(fake, 250)
    pf = _state.read_pfs(host.sysfs)[fake.address]
    assert [vf_address(pf, i) for i in range(250)] == [fake.vf_address(i) for i in range(250)]
    with pytest.raises(BadInputError, match="VF 250 is not enabled in hardware"):
        vf_address(pf, 250)


def test_one_interface_is_not_asked_for_its_port(host: FakeHost) -> None:
    assert _state.read_pfs(host.sysfs)[IGB].netdev == "eth0"
    assert not [path for path in host.sysfs.reads if path.endswith("phys_port_name")]
