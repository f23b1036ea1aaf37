# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers have made up is named, and not exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import addresses
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.export import Export, export
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import gather
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

PF = "0000:03:00.0"
RANDOM, GIVEN, MAKERS = "7a:91:3c:5e:00:17", "52:54:00:12:34:56", "52:54:00:00:0a:01"
PERMANENT, BY_DRIVER, BY_SOMEBODY = 0, 1, 3


def exported(host: FakeHost) -> Export:
    host.draw()
    return export(gather(host.sysfs, host.run))


def with_vf(folder: Path, mac: str, driver: str = "igbvf", origin: int = PERMANENT) -> tuple[FakeHost, FakePf]:
    """A host with ``mac`` for VF 0, also on its interface."""
    host = FakeHost(folder / "root", drivers=("igb", "igbvf", "vfio-pci"))
    pf = host.igb(PF)
    host.setup(pf, 2, [0], driver)
    pf.vfs[0].mac, pf.vfs[0].mac_assigned = mac, origin
    pf.properties[0]["mac"] = mac
    return host, pf


def macs(found: Export) -> list[object]:
    return [vf["mac"] for pf in found.document.to_dict()["pfs"] for vf in pf["vfs"] if "mac" in vf]


def test_random_addresses_of_drivers_are_left_out(tmp_path: Path) -> None:
    """igbvf reports the address that it has made up to igb."""
    host, _pf = with_vf(tmp_path, RANDOM, origin=BY_DRIVER)
    found = exported(host)
    assert macs(found) == []
    text = "values of mac that their drivers have made up (addr_assign_type 1), others at each boot; they are left out"
    assert found.notices == (f"PF {PF}: VFs 0 have {text}",)


@pytest.mark.parametrize("origin", [PERMANENT, BY_SOMEBODY])
def test_an_address_that_was_given_stays(tmp_path: Path, origin: int) -> None:
    host, _pf = with_vf(tmp_path, GIVEN, origin=origin)
    found = exported(host)
    assert (macs(found), found.notices) == ([GIVEN], ())


def test_what_the_pf_was_given_counts_though_its_interface_is_random(tmp_path: Path) -> None:
    host, pf = with_vf(tmp_path, GIVEN, origin=BY_DRIVER)
    pf.vfs[0].mac = RANDOM
    assert macs(exported(host)) == [GIVEN]


@pytest.mark.parametrize("driver", ["vfio-pci", "igbvf"])
def test_addresses_of_the_manufacturer_are_left_out(tmp_path: Path, driver: str) -> None:
    """Firmware, be2net and cxgb4 derive them from the PF's own."""
    host, pf = with_vf(tmp_path, "00:11:22:33:44:56", driver)
    pf.mac = "00:11:22:00:00:01"
    found = exported(host)
    assert macs(found) == []
    assert "come with the device" in found.notices[0]
    pf.mac = "00:aa:bb:00:00:01"
    assert macs(exported(host)) == ["00:11:22:33:44:56"]


def test_an_address_of_a_guest_is_doubtful(tmp_path: Path) -> None:
    host, pf = with_vf(tmp_path, RANDOM, "vfio-pci")
    found = exported(host)
    assert macs(found) == [RANDOM]
    assert len(found.notices) == 1
    assert "may be made up by a guest's driver" in found.notices[0]
    pf.properties[1]["mac"] = RANDOM[:-2] + "18"
    assert exported(host).notices == ()


@pytest.mark.parametrize("mac", [GIVEN, "02:00:00:00:00:06", "fa:16:3e:aa:bb:cc", "hash"])
def test_addresses_that_somebody_chooses_so_are_not(tmp_path: Path, mac: str) -> None:
    host, pf = with_vf(tmp_path, addresses.address(mac, 0, FakePf(PF).mac), "vfio-pci")
    assert exported(host).notices == ()
    assert pf.properties[0]["mac"] in macs(exported(host))


def test_the_speed_of_the_link_is_no_limit(tmp_path: Path) -> None:
    """As qede shows it (qlogic/qed/qed_sriov.c, qed_get_vf_config)."""
    host, pf = with_vf(tmp_path, GIVEN)
    pf.speed = 10000
    pf.properties[0]["max_tx_rate"], pf.properties[1]["max_tx_rate"] = 10000, 500
    found = exported(host)
    rates = [vf["max_tx_rate"] for vf in found.document.to_dict()["pfs"][0]["vfs"] if "max_tx_rate" in vf]
    assert rates == [500]
    assert "VFs 0 have values of max_tx_rate that are the speed of the PF's link" in found.notices[0]


@pytest.mark.parametrize(("mtu", "declared"), [(2044, False), (4092, False), (65520, True)])
def test_an_mtu_of_infiniband_is_its_ports(tmp_path: Path, mtu: int, declared: bool) -> None:
    host = FakeHost(tmp_path / "root", drivers=("mlx5_core",))
    pf = host.ipoib(PF)
    host.setup(pf, 1, [0], "mlx5_core")
    pf.mtu = pf.vfs[0].mtu = mtu
    (one,) = exported(host).document.to_dict()["pfs"]
    assert ("mtu" in one, any("mtu" in vf for vf in one["vfs"])) == (declared, declared)
