# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of VFs below others, or in other namespaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import device_tree, interfaces
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

PF, VF, OTHER = "0000:03:00.0", "0000:04:10.2", "0000:04:10.4"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 7, [1, 2], "igbvf")
    return host


def found(host: FakeHost, *addresses: str) -> dict[str, str]:
    nets = {address: device_tree.read(host.sysfs, address).nets for address in addresses}
    return interfaces.users(host.sysfs, host.run, nets)


# DEVTYPE of what is above, words
UPPERS = [
    ("bridge", "bridge br0 above its network interface"),
    ("bond", "bond br0 above its network interface"),
    ("macvlan", "macvlan br0 above its network interface"),
    ("", "interface br0 above its network interface"),
]


@pytest.mark.parametrize(("devtype", "words"), UPPERS)
def test_uppers(host: FakeHost, devtype: str, words: str) -> None:
    users.enslave(host, host.pfs[PF], 1, "br0", devtype)
    assert found(host, VF, OTHER) == {VF: words}


def test_an_interface_by_itself_is_free(host: FakeHost) -> None:
    assert found(host, VF, OTHER) == {}
    assert "/proc/self/mountinfo" not in host.sysfs.reads


def test_a_driver_without_interfaces_is_free(host: FakeHost) -> None:
    shutil.rmtree(host.root / "sys/bus/pci/devices" / VF / "net")
    assert found(host, VF, "0000:09:00.0") == {}


def test_an_empty_folder_is_an_interface_elsewhere(host: FakeHost) -> None:
    users.process(host, "self", "sriovctl")
    users.process(host, 812, "nginx", "net:[77]")
    users.move(host, host.pfs[PF], 1, "/proc/812/ns/net")
    assert found(host, VF, OTHER) == {VF: "the network namespace of process 812 (nginx), as interface net1"}


def test_virtio_has_its_interface_a_level_below(host: FakeHost) -> None:
    folder = host.root / "sys/bus/pci/devices" / VF
    shutil.rmtree(folder / "net")
    (folder / "virtio3/net").mkdir(parents=True)
    (folder / "virtio4").mkdir()
    assert list(found(host, VF)) == [VF]
