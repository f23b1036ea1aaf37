# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices of VFs in use."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import block_devices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

NVME = "0000:04:00.0"
VF = "0000:04:00.2"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host whose VF 1 has a disk with one partition.

    Mounts and swap are those of others.
    """
    host = FakeHost(tmp_path)
    host.setup(host.nvme(NVME), 8, [0, 1, 2], "nvme")
    users.process(host, "self", "sriovctl")
    users.process(host, 1, "init")
    users.disk(host, host.pfs[NVME], 1, "nvme1n1", "nvme1n1p1")
    users.disk(host, host.pfs[NVME], 3, "sda", below="pci0000:00/0000:00:1f.2/ata1/block")
    users.put(host, "proc/swaps", "Filename\t\t\t\tType\t\tSize\n/dev/vdb                        partition\t1\t0\t-2\n")
    return host


def found(host: FakeHost) -> dict[str, str]:
    pf = host.pfs[NVME]
    return block_devices.users(host.sysfs, [pf.vf_address(vf_id) for vf_id in (0, 1, 2)])


def test_a_free_disk(host: FakeHost) -> None:
    assert found(host) == {}


def test_nothing_of_mounts_is_read_without_disks(host: FakeHost) -> None:
    assert block_devices.users(host.sysfs, [host.pfs[NVME].vf_address(0)]) == {}
    assert block_devices.users(host.sysfs, []) == {}
    assert host.sysfs.reads == {}


# device number and source of a mount, is it one of the VF's?
MOUNTS = [
    ("259:0", "/dev/nvme1n1", True),
    ("259:1", "/dev/disk/by-label/x", True),
    ("0:45", "/dev/nvme1n1p1", True),
    ("0:45", "/dev/nvme1n1p2", False),
    ("259:11", "/dev/nvme11n1", False),
]


@pytest.mark.parametrize(("device", "source", "mine"), MOUNTS)
def test_mounts(host: FakeHost, device: str, source: str, mine: bool) -> None:
    users.mount(host, "self", device, source, "/srv/a\\040b")
    texts = list(found(host).values())
    assert [text.startswith("mount point /srv/a b (/dev/nvme1n1") for text in texts] == ([True] if mine else [])


def test_a_mount_in_another_namespace(host: FakeHost) -> None:
    users.process(host, 812, "postgres", mnt="mnt:[9]")
    users.process(host, 813, "postgres", mnt="mnt:[9]")
    users.mount(host, 812, "259:1", "/dev/nvme1n1p1", "/data")
    assert found(host) == {VF: "mount point /data in the mount namespace of process 812 (postgres) (/dev/nvme1n1p1)"}


def test_a_process_that_ends_meanwhile(host: FakeHost) -> None:
    users.process(host, 812, "postgres", mnt="mnt:[9]")
    (host.root / "proc/812/mountinfo").unlink()
    assert found(host) == {}
    (host.root / "proc/self/mountinfo").unlink()
    with pytest.raises(KernelError, match="ENOENT"):
        found(host)


def test_swap(host: FakeHost) -> None:
    swaps = host.root / "proc/swaps"
    swaps.write_text(swaps.read_text() + "/dev/nvme1n1p1                          partition\t1\t0\t-2\n")
    assert found(host) == {VF: "swap space /dev/nvme1n1p1"}
    swaps.unlink()
    assert found(host) == {}


def test_part_of_another_disk(host: FakeHost) -> None:
    holders = host.root / "sys/class/block/nvme1n1/holders"
    (holders / "md127").touch()
    assert found(host) == {VF: "block device md127, which /dev/nvme1n1 is part of"}
    (holders / "md127").rename(holders / "dm-3")
    users.disk(host, host.pfs[NVME], 3, "dm-3", below="virtual/block")
    users.put(host, "sys/devices/virtual/block/dm-3/dm/name", "vg0-data\n")
    assert found(host) == {VF: "block device dm-3 (vg0-data), which /dev/nvme1n1 is part of"}


@pytest.mark.parametrize("node", ["/dev/nvme1n1", "/dev/nvme1n1p1"])
def test_open(host: FakeHost, node: str) -> None:
    users.process(host, 900, "qemu-system-x86")
    (host.root / "proc/900/cmdline").write_text("qemu\0-name\0web1\0")
    os.symlink(node, host.root / "proc/900/fd/12")
    assert found(host) == {VF: f"VM web1, process 900 (qemu-system-x86), which has {node} open"}


def test_claimed_by_what_has_no_name(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that the kernel reports as claimed (open(2), O_EXCL).

    ZFS, bcache and others show nothing else.
    """
    asked: list[tuple[str, int]] = []
    opened = os.open

    def open_(path: str, flags: int, *mode: int) -> int:
        if "/dev/" in path:
            asked.append((path[len(str(host.root)) :], flags))
            raise OSError(number, path)
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", open_)
    number = errno.EBUSY
    assert found(host) == {VF: "something that has claimed /dev/nvme1n1 for itself"}
    assert asked == [("/dev/nvme1n1", os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK)]
    number = errno.ENOENT
    assert found(host) == {}


def test_several_paths_to_one_namespace(host: FakeHost) -> None:
    """A disk of several paths, below its subsystem.

    The VF's controller has only a path to it.
    """
    users.disk(host, host.pfs[NVME], 2, "nvme5c7n1", below=f"pci0000:00/{host.pfs[NVME].vf_address(2)}/nvme/nvme7")
    users.disk(host, host.pfs[NVME], 2, "nvme5n1", below="virtual/nvme-subsystem/nvme-subsys5")
    users.disk(host, host.pfs[NVME], 2, "nvme5n1p1", below="virtual/nvme-subsystem/nvme-subsys5/nvme5n1")
    users.disk(host, host.pfs[NVME], 2, "nvme6n1", below="virtual/nvme-subsystem/nvme-subsys6")
    address = host.pfs[NVME].vf_address(2)
    assert block_devices.devices(host.sysfs, frozenset({address})) == {"nvme5n1": address, "nvme5n1p1": address}
    users.mount(host, "self", "0:99", "/dev/nvme5n1p1", "/data")
    assert found(host) == {address: "mount point /data (/dev/nvme5n1p1)"}
