# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs that are used through device files of any kind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import device_files, device_tree
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"

# folder of the node below the VF's, words
NODES = [
    ("uio/uio0", "process 77 (testpmd), which has /dev/uio0 open"),
    ("infiniband_verbs/uverbs0", "process 77 (testpmd), which has /dev/uverbs0 open"),
    ("infiniband_mad/umad0", "process 77 (testpmd), which has /dev/umad0 open"),
    ("vdpa0/vhost-vdpa-0", "process 77 (testpmd), which has /dev/vhost-vdpa-0 open"),
    ("virtio3/ptp/ptp1", "process 77 (testpmd), which has /dev/ptp1 open"),
    ("drm/renderD128", "process 77 (testpmd), which has /dev/renderD128 open"),
    ("nvme/nvme1", "process 77 (testpmd), which has /dev/nvme1 open"),
    ("vfio-dev/vfio0", "process 77 (testpmd)"),
    ("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/vfio-dev/vfio1", "process 77 (testpmd)"),
]


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(PF), 7, [1, 2], "igbvf")
    return host


def found(host: FakeHost) -> dict[int, str]:
    pf = host.pfs[PF]
    trees = {pf.vf_address(vf_id): device_tree.read(host.sysfs, pf.vf_address(vf_id)) for vf_id in pf.vfs}
    ids = {pf.vf_address(vf_id): vf_id for vf_id in pf.vfs}
    return {ids[address]: words for address, words in device_files.users(host.sysfs, trees).items()}


@pytest.mark.parametrize(("folder", "words"), NODES)
@pytest.mark.parametrize("node", ["/dev/it", "/var/lib/machines/dpdk/dev/uio7", "/uio0"])
def test_any_device_file_wherever_it_is(host: FakeHost, folder: str, words: str, node: str) -> None:
    users.device_file(host, host.pfs[PF], 2, folder, "240:7", node)
    assert found(host) == {}
    users.opens(host, 77, "testpmd", node)
    assert found(host) == {2: words}


def test_the_name_of_a_node_is_not_the_node(host: FakeHost) -> None:
    """A file of any user, and a node of another device."""
    users.device_file(host, host.pfs[PF], 2, "uio/uio0", "240:7", "/dev/uio0")
    users.opens(host, 77, "evil", "/dev/uio0.txt")
    host.node("/run/user/1000/uio0", "240:17")
    users.opens(host, 78, "evil", "/run/user/1000/uio0")
    assert found(host) == {}


def test_the_kernel_names_the_node(host: FakeHost) -> None:
    users.device_file(host, host.pfs[PF], 2, "infiniband_verbs/uverbs0", "231:192", "/dev/infiniband/uverbs0")
    address = host.pfs[PF].vf_address(2)
    users.put(host, f"{users.BUS}/{address}/infiniband_verbs/uverbs0/uevent", "MAJOR=231\nDEVNAME=infiniband/uverbs0\n")
    users.opens(host, 77, "ib_write_bw", "/dev/infiniband/uverbs0")
    assert found(host) == {2: "process 77 (ib_write_bw), which has /dev/infiniband/uverbs0 open"}


@pytest.mark.parametrize(("name", "used"), [("resource0", True), ("resource2_wc", True), ("config", False)])
def test_registers_that_are_open(host: FakeHost, name: str, used: bool) -> None:
    """As DPDK and SPDK map them; anybody reads the configuration space."""
    users.opens(host, 77, "spdk", f"/sys/devices/pci0000:00/0000:00:03.0/{host.pfs[PF].vf_address(1)}/{name}")
    assert found(host) == ({1: "process 77 (spdk), which has its registers open"} if used else {})


def test_a_group_of_a_mediated_device(host: FakeHost) -> None:
    address = host.pfs[PF].vf_address(1)
    link = host.root / users.BUS / address / "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/iommu_group"
    link.parent.mkdir()
    os.symlink("../../../kernel/iommu_groups/31", link)
    users.put(host, "sys/class/vfio/31/dev", "235:31\n")
    host.node("/dev/vfio/31", "235:31")
    users.opens(host, 77, "qemu", "/dev/vfio/31")
    assert found(host) == {1: "process 77 (qemu)"}


def test_a_block_device_is_none_of_these(host: FakeHost) -> None:
    """Numbers of block devices are counted apart."""
    users.device_file(host, host.pfs[PF], 1, "nvme/nvme1/nvme1n1", "240:7", "/dev/uio7")
    os.symlink(
        "../../../../../../class/block",
        host.root / users.BUS / host.pfs[PF].vf_address(1) / "nvme/nvme1/nvme1n1/subsystem",
    )
    users.opens(host, 77, "testpmd", "/dev/uio7")
    assert found(host) == {}


def test_nothing_is_asked_of_file_systems_that_may_not_answer(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    users.device_file(host, host.pfs[PF], 2, "uio/uio0", "240:7", "/dev/uio0")
    users.opens(host, 77, "cp", "/mnt/far/file")
    users.opens(host, 78, "testpmd", "/dev/uio0")
    for pid, mount in ((77, 31), (78, 25)):
        users.put(
            host,
            f"proc/{pid}/mountinfo",
            "25 1 0:6 / /dev rw shared:2 - devtmpfs udev rw\n31 1 0:99 / /mnt/far rw - nfs4 h:/ rw\n",
        )
        users.put(host, f"proc/{pid}/fdinfo/9", f"pos:\t0\nflags:\t02\nmnt_id:\t{mount}\n")
    asked: list[str] = []
    number = host.sysfs.device_number

    def asking(path: str) -> str | None:
        asked.append(path)
        return number(path)

    monkeypatch.setattr(host.sysfs, "device_number", asking)
    assert found(host) == {2: "process 78 (testpmd), which has /dev/uio0 open"}
    assert asked == ["/proc/78/fd/9"]


def test_numbers_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    sysfs = Sysfs(str(tmp_path))
    assert sysfs.device_number("/null") == "c 1:3"
    assert (sysfs.device_number("/gone"), sysfs.device_number("/")) == (None, None)
    with open("/dev/zero", "rb") as file:
        assert Sysfs().device_number(f"/proc/self/fd/{file.fileno()}") == "c 1:5"


def test_entries_follow_no_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").touch()
    assert Sysfs(str(tmp_path)).entries("/") == {"a": True, "b": False, "c": False}
    assert Sysfs(str(tmp_path)).entries("/gone") == {}
