# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses of images by the host's own kernel, kind by kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.image_layers import Devices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.image_writers import OpenFiles
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import BLOCK, FILE, GONE, Image
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import claim, jump, live, request, result

DISK = Image("/vm/web1.img", FILE, "local")
LV = Image("/dev/vg/web1", BLOCK, "local")
ROOT = "1 0 254:0 / / rw - ext4 /dev/vda rw\n"


def device(node: FakeNode, name: str, number: str, **files: str) -> None:
    """A block device, with its node.

    ``files``: of its folder, with dots for slashes.
    """
    folder = f"/sys/class/block/{name}"
    for file, text in {"dev": number, "ro": "0", **files}.items():
        node.put(f"{folder}/{file.replace('.', '/')}", f"{text}\n")
    link = node.host.root / f"sys/dev/block/{number}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"../../class/block/{name}")
    node.put(f"/dev/{name}", "")


def loop(node: FakeNode, on: str = DISK.name, ro: str = "0") -> None:
    device(node, "loop3", "7:3", ro=ro, **{"loop.backing_file": on})


def mounted(node: FakeNode, number: str) -> None:
    node.put("/proc/self/mountinfo", f"{ROOT}9 1 {number} / /mnt/a\\040b rw - ext4 /dev/x rw\n")


@pytest.fixture
def disk(node: FakeNode) -> FakeNode:
    """A node with an image, and an LV."""
    node.put(DISK.name, "disk")
    device(node, "dm-5", "253:5")
    Path(node.host.root / "dev/vg").mkdir()
    (node.host.root / "dev/vg/web1").symlink_to("../dm-5")
    return node


def used(node: FakeNode, image: Image = DISK) -> str:
    return "; ".join(OpenFiles().others(node.host.sysfs, [image], ()))


def test_what_nobody_uses(disk: FakeNode) -> None:
    assert (used(disk), used(disk, LV)) == ("", "")


def test_a_loop_device(disk: FakeNode) -> None:
    loop(disk)
    assert used(disk) == (
        f"its image {DISK.name} is in use by this host: /dev/loop3 is set up on it for writing "
        "(`losetup -d /dev/loop3`)"
    )
    assert used(disk, LV) == ""


@pytest.mark.parametrize("changes", [{"ro": "1"}, {"on": "/vm/other.img"}, {"on": f"{DISK.name} (deleted)"}])
def test_a_loop_device_that_is_none_of_its_writers(disk: FakeNode, changes: dict[str, str]) -> None:
    disk.put("/vm/other.img", "disk")
    loop(disk, **changes)
    mounted(disk, "7:3")
    assert used(disk) == ""


def test_a_loop_device_by_another_name_of_the_file(disk: FakeNode) -> None:
    (disk.host.root / "vm/hard").hardlink_to(disk.host.root / "vm/web1.img")
    loop(disk, on="/vm/hard")
    assert "/dev/loop3 is set up on it" in used(disk)


def test_on_a_network_a_loop_device_is_known_by_its_name(disk: FakeNode) -> None:
    """The server may not answer, so nothing is asked of it."""
    disk.put("/nas/web1.img", "disk")
    disk.put("/proc/self/mountinfo", f"{ROOT}2 1 0:50 / /nas rw - nfs4 nas:/vm rw\n")
    loop(disk, on="/nas/web1.img")
    assert Devices.read(disk.host.sysfs).loops == (("loop3", "/nas/web1.img", GONE),)
    assert "/dev/loop3 is set up on it" in used(disk, Image("/nas/web1.img", FILE, "shared"))
    assert used(disk) == ""


def test_a_mount_of_a_loop_device(disk: FakeNode) -> None:
    loop(disk)
    mounted(disk, "7:3")
    assert "/mnt/a b is mounted from /dev/loop3 (`umount /mnt/a b`)" in used(disk)


def test_a_mount_that_is_only_called_like_a_disk(disk: FakeNode) -> None:
    """Any user can make one in a namespace of theirs."""
    disk.put("/proc/self/mountinfo", f"{ROOT}9 1 0:77 / /home/u/x rw - tmpfs /dev/dm-5 rw\n")
    assert used(disk, LV) == ""


def direct(node: FakeNode) -> str:
    mounted(node, "253:5")
    return "/mnt/a b is mounted from /dev/dm-5 (`umount"


def volume(node: FakeNode) -> str:
    """The guest's own volume group, found by the host's LVM, and mounted."""
    device(node, "dm-9", "253:9")
    node.put("/sys/class/block/dm-5/holders/dm-9", "")
    mounted(node, "253:9")
    return "/mnt/a b is mounted from /dev/dm-9 (`umount"


def partition(node: FakeNode) -> str:
    node.put("/sys/class/block/dm-5/dm5p1/partition", "1\n")
    device(node, "dm5p1", "259:1")
    mounted(node, "259:1")
    return "/mnt/a b is mounted from /dev/dm5p1 (`umount"


def loop_on_it(node: FakeNode) -> str:
    loop(node, on="/dev/dm-5")
    return "/dev/loop3 is set up on it for writing"


def swap(node: FakeNode) -> str:
    node.put("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-5 partition 9 0 -2\n")
    return "/dev/dm-5: it is swap space (`swapoff /dev/dm-5`)"


def iscsi(node: FakeNode) -> str:
    node.put("/sys/kernel/config/target/core/iblock_0/web1/udev_path", "/dev/dm-5\n")
    node.put("/sys/kernel/config/target/core/iblock_0/hba_info", "x\n")
    return "/dev/dm-5: a target of this host offers it to others (/sys/kernel/config/target/core/iblock_0/web1)"


def nvme(node: FakeNode) -> str:
    node.put("/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/device_path", "/dev/dm-5\n")
    return "/dev/dm-5: a NVMe target of this host offers it to others"


def writer(node: FakeNode) -> str:
    """A process with a device that is made of it."""
    device(node, "dm-9", "253:9")
    node.put("/sys/class/block/dm-5/holders/dm-9", "")
    pid = node.process("dd", holds=(node.host.sysfs.real("/dev/dm-9"),))
    node.put(f"/proc/{pid}/fdinfo/0", "flags:\t0100001\n")
    return f"process {pid} (dd, x.service) has its image /dev/vg/web1 (/dev/dm-9) open for writing"


KINDS = (direct, volume, partition, loop_on_it, swap, iscsi, nvme, writer)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_a_disk(disk: FakeNode, kind: Callable[[FakeNode], str]) -> None:
    text = kind(disk)
    assert text in used(disk, LV)
    assert used(disk) == ""


def test_a_volume_that_the_host_has_found_and_nobody_uses(disk: FakeNode) -> None:
    """LVM of many hosts makes them at each boot, for nothing."""
    device(disk, "dm-9", "253:9")
    disk.put("/sys/class/block/dm-5/holders/dm-9", "")
    disk.put("/sys/class/block/dm-9/holders/dm-5", "")  # a circle has an end
    assert used(disk, LV) == ""


def test_what_the_kernel_has_claimed_without_a_name(disk: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a btrfs, whose mounts have numbers of their own."""
    monkeypatch.setattr(type(disk.host.sysfs), "claimed", lambda _sysfs, path: path == "/dev/dm-5")
    assert "something has claimed /dev/dm-5 for itself" in used(disk, LV)


def test_a_swap_file(disk: FakeNode) -> None:
    disk.put("/proc/swaps", f"Filename Type Size Used Priority\n{DISK.name} file 9 0 -2\n")
    assert f"its image {DISK.name} is in use by this host: it is swap space" in used(disk)


def test_mounts_that_cannot_be_read_keep_no_vm_stopped(disk: FakeNode) -> None:
    disk.put("/proc/self/mountinfo", "nonsense\n")
    assert used(disk, LV) == ""


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VM web1 of one disk, and web2 without."""
    pf = node.igb()
    node.images = {"web1": (DISK.name,)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def test_no_vm_is_restored_beside_a_loop_device(disked: FakeNode) -> None:
    """Nor lost: its state waits for the other's end."""
    jump(disked)
    loop(disked)
    assert resume.resume(disked.live) == "failed"
    assert (disked.live_vm("web1"), claim(disked).state) == (None, "failed")
    assert "/dev/loop3 is set up on it for writing (`losetup -d /dev/loop3`)" in str(result(disked)["vms"][0]["error"])
    assert live(disked, "web2").status == "running"
    (disked.host.root / "sys/class/block/loop3/loop/backing_file").unlink()
    assert way_out.restore(disked.live, ["web1"]) == "done"
    assert live(disked).status == "running"


def test_the_preflight_refuses_it(disked: FakeNode) -> None:
    loop(disked)
    _facts, verdict = _live_arm.examine(disked.live, request())
    (found,) = verdict.refusals
    assert (found.code, "/dev/loop3 is set up on it" in found.problem) == ("image-used", True)
