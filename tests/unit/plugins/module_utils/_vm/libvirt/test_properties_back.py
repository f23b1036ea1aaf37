# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of VFs are read back before a domain runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import NO_MAC, VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import properties_back
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVf, ManifestVm
from tests.fake.linux.host import FakeHost


def _vm(pf: str, properties: VfProperties) -> ManifestVm:
    return ManifestVm(
        name="w", backend="libvirt", priority=0, pid=1, started=1, unit="", cold_start=False, straggler="leave",
        on_other_kernel="restore", check={}, vfs=(ManifestVf(pf, 1, "x", properties),), part={},
    )  # fmt: skip


def test_others_than_those_of_the_manifest_stop_its_start(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    host.setup(pf, 4, range(4), "igbvf")
    host.run(["ip", "link", "set", "dev", "eth0", "vf", "1", "mac", "02:00:00:00:00:01", "vlan", "5", "qos", "0"])
    good = VfProperties(mac="02:00:00:00:00:01", vlan=5)
    properties_back.require(host.sysfs, host.run, _vm(pf.address, good))
    properties_back.require(host.sysfs, host.run, _vm(pf.address, good._replace(mac=NO_MAC)))
    with pytest.raises(SriovError, match=r"VM w does not run: VF 1 of PF 0000:03:00\.0 has vlan 5, expected 6, after"):
        properties_back.require(host.sysfs, host.run, _vm(pf.address, good._replace(vlan=6)))


def test_nothing_is_read_for_nothing(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    properties_back.require(host.sysfs, host.run, _vm("0000:09:00.0", VfProperties()))
    assert host.asked == 0
