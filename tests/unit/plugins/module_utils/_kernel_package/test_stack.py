# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root and uplinks rest on, and initrds have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import initrd, mounts, outside, stack
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

LISTED = """\
.
bin
init
kernel/x86/microcode/GenuineIntel.bin
usr/sbin/lvm
usr/sbin/vgchange -> lvm
usr/lib/modules/6.12/kernel/drivers/md/dm-mod.ko.xz
usr/lib/modules/6.12/kernel/drivers/nvme/host/nvme.ko
"""
DRACUT = """\
Image: /boot/initrd.img-6.12: 30M
========================================================================
drwxr-xr-x  12 root     root            0 Jan  1  1970 .
-rwxr-xr-x   1 root     root       154936 Jan  1  1970 usr/sbin/lvm
lrwxrwxrwx   1 root     root            3 Jan  1  1970 usr/sbin/vgchange -> lvm
-rwxr-xr-x   1 root     root        87936 Jan  1  1970 usr/lib/systemd/systemd-cryptsetup
-rw-r--r--   1 root     root       154936 Jan  1  1970 usr/lib/modules/6.12/kernel/drivers/nvme/host/nvme.ko.zst
"""


class Tree:
    """Files and links below a folder, as a host has them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, text: str = "") -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    def link(self, path: str, target: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(os.path.relpath(self.root / target.lstrip("/"), file.parent))

    def disk(self, name: str, module: str, partition: str = "") -> None:
        """A disk, whose controller has a driver of a module."""
        device = f"/sys/devices/pci0/{name}-controller/0:0"
        self.put(f"{device}/block/{name}/size")
        self.link(f"{device}/block/{name}/device", device)
        self.link(f"{device}/../driver", f"/sys/drivers/{module}")
        self.link(f"/sys/drivers/{module}/module", f"/sys/module/{module}")
        self.link(f"/sys/class/block/{name}", f"{device}/block/{name}")
        if partition:
            self.put(f"{device}/block/{name}/{partition}/partition", "1")
            self.link(f"/sys/class/block/{partition}", f"{device}/block/{name}/{partition}")

    def mapped(self, name: str, uuid: str, *slaves: str) -> None:
        self.put(f"/sys/class/block/{name}/dm/uuid", uuid)
        for one in slaves:
            self.link(f"/sys/class/block/{name}/slaves/{one}", f"/sys/class/block/{one}")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path)
    (tmp_path / "sys/module/nvme").mkdir(parents=True)
    return found


def mounted(tree: Tree, number: str, kind: str, source: str) -> None:
    tree.put(
        "/proc/self/mountinfo",
        f"21 1 {number} / / rw,relatime shared:1 - {kind} {source} rw\n22 21 0:5 / /dev rw - devtmpfs u rw",
    )


def test_root_on_lvm_on_crypt_on_md(tree: Tree) -> None:
    tree.disk("sda", "ahci", "sda2")
    tree.disk("sdb", "megaraid_sas", "sdb2")
    tree.put("/sys/class/block/md0/md/level", "raid1")
    for one in ("sda2", "sdb2"):
        tree.link(f"/sys/class/block/md0/slaves/{one}", f"/sys/class/block/{one}")
    tree.mapped("dm-0", "CRYPT-LUKS2-abc", "md0")
    tree.mapped("dm-1", "LVM-abc", "dm-0")
    tree.link("/sys/dev/block/253:1", "/sys/class/block/dm-1")
    mounted(tree, "253:1", "ext4", "/dev/mapper/vg-root")
    found = stack.root(Sysfs(str(tree.root)))
    assert found.kinds == {"lvm", "crypt", "md"}
    assert set(found.modules) == {"ext4", "dm_mod", "raid1", "ahci", "megaraid_sas"}


def test_root_on_btrfs_has_no_number_of_a_device(tree: Tree) -> None:
    tree.disk("nvme0n1", "nvme", "nvme0n1p2")
    tree.put("/dev/nvme0n1p2")
    mounted(tree, "0:25", "btrfs", "/dev/nvme0n1p2")
    found = stack.root(Sysfs(str(tree.root)))
    assert (found.kinds, set(found.modules)) == (set(), {"btrfs", "nvme"})


def test_root_on_zfs(tree: Tree) -> None:
    mounted(tree, "0:25", "zfs", "rpool/ROOT/pve-1")
    assert stack.root(Sysfs(str(tree.root))).kinds == {"zfs"}


def test_mounts_of_the_table(tree: Tree) -> None:
    """Those that a boot waits for; root comes with the initrd."""
    tree.disk("sda", "ahci", "sda1")
    tree.disk("sdb", "megaraid_sas", "sdb1")
    for number, name in (("8:1", "sda1"), ("8:17", "sdb1")):
        tree.link(f"/sys/dev/block/{number}", f"/sys/class/block/{name}")
    tree.put(
        "/etc/fstab",
        "UUID=a / ext4 rw 0 1\nUUID=b /boot/efi vfat umask=0077 0 1\n#UUID=c /old xfs rw 0 2\n"
        "UUID=d /with\\040blank btrfs rw 0 2\nUUID=e /later xfs nofail 0 2\nUUID=f none swap sw 0 0\n",
    )
    tree.put(
        "/proc/self/mountinfo",
        "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n"
        "2 1 8:1 / /boot/efi rw - vfat /dev/sda1 rw,codepage=437,iocharset=iso8859-1\n"
        "3 1 8:17 / /with\\040blank rw shared:1 - btrfs /dev/sdb1 rw\n4 1 8:18 / /later rw - xfs /dev/sdb2 rw\n",
    )
    found = mounts.read(Sysfs(str(tree.root)))
    assert found.modules == {
        "vfat": "the file system of /boot/efi", "nls_cp437": "the file system of /boot/efi",
        "nls_iso8859_1": "the file system of /boot/efi", "ahci": "block device sda1",
        "btrfs": "the file system of /with blank", "megaraid_sas": "block device sdb1",
    }  # fmt: skip


def test_a_host_that_shows_nothing(tree: Tree) -> None:
    found = stack.root(Sysfs(str(tree.root)))
    assert (found.kinds, found.modules) == (set(), {})
    assert stack.uplinks(Sysfs(str(tree.root))).modules == {}


def test_uplinks_below_bridge_vlan_and_bond(tree: Tree) -> None:
    tree.put("/proc/net/route", "Iface Destination Gateway\nvmbr0 00000000 0100A8C0 0003\neno9 0000A8C0 00000000 0001")
    tree.put("/sys/class/net/vmbr0/bridge/bridge_id")
    tree.put("/sys/class/net/vmbr0/lower_bond0.5")
    tree.put("/sys/class/net/bond0.5/uevent", "DEVTYPE=vlan\nINTERFACE=bond0.5")
    tree.put("/sys/class/net/bond0.5/lower_bond0")
    tree.put("/sys/class/net/bond0/bonding/mode")
    for name, module in (("eno1", "ixgbe"), ("eno2", "i40e"), ("eno9", "tg3")):
        tree.link(f"/sys/class/net/{name}/device/driver/module", f"/sys/module/{module}")
    for one in ("eno1", "eno2"):
        tree.put(f"/sys/class/net/bond0/lower_{one}")
    found = stack.uplinks(Sysfs(str(tree.root)))
    assert set(found.modules) == {"bridge", "8021q", "bonding", "ixgbe", "i40e"}


def test_a_route_of_ipv6_alone(tree: Tree) -> None:
    zero = "0" * 32
    lines = [
        f"{zero} 00 {zero} 00 fe80 00000400 1 0 00450003 eth0",
        f"{zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo",
    ]
    tree.put("/proc/net/ipv6_route", "\n".join(lines))
    tree.link("/sys/class/net/eth0/device/driver/module", "/sys/module/igb")
    assert stack.uplinks(Sysfs(str(tree.root))).modules == {"igb": "interface eth0"}


def test_listings() -> None:
    assert initrd.parse(LISTED) == initrd.Listing(frozenset({"dm_mod", "nvme"}), frozenset({"lvm", "vgchange"}))
    assert initrd.parse(DRACUT) == initrd.Listing(
        frozenset({"nvme"}), frozenset({"lvm", "vgchange", "systemd-cryptsetup"})
    )
    assert initrd.parse("") is None


def test_the_lister_that_is_there_is_used(tree: Tree) -> None:
    asked = []

    def run(argv: object) -> str:
        asked.append(list(argv))  # type: ignore[call-overload]  # argv is a list
        if asked[-1][0] == "lsinitrd":
            return DRACUT
        raise ToolError(asked[-1], 127, "")

    sysfs = Sysfs(str(tree.root))
    assert initrd.listing(sysfs, run, "/boot/initrd.img-6.12")
    assert asked == [[name, f"{tree.root}/boot/initrd.img-6.12"] for name in ("lsinitramfs", "lsinitrd")]


STATUS = """\
mlnx-ofed-kernel/24.10, 6.1.0-18-amd64, x86_64: installed
zfs/2.1.11, 6.1.0-18-amd64, x86_64: installed (WARNING! Diff between built and installed module!)
zfs/2.1.11, 6.12.9-kvmfleet1, x86_64: built
wireguard, 1.0, 6.1.0-18-amd64, x86_64: installed
nvidia/5: added
"""


def test_dkms() -> None:
    found = outside.parse(STATUS)
    assert found == {"6.1.0-18-amd64": {"mlnx-ofed-kernel", "zfs", "wireguard"}}
    assert outside.lacking(found, "6.1.0-18-amd64", "6.12.9-kvmfleet1") == ["mlnx-ofed-kernel", "wireguard", "zfs"]


def test_loaded_modules_from_outside(tree: Tree) -> None:
    tree.put("/proc/modules", "mlx5_core 1 0 - Live 0x0\nnvme 1 0 - Live 0x0")
    tree.put(
        "/lib/modules/6.1/modules.dep", "updates/dkms/mlx5-core.ko.xz: kernel/x.ko\nkernel/nvme.ko:\nextra/other.ko:"
    )
    assert outside.loaded_from_outside(Sysfs(str(tree.root)), "6.1") == {"mlx5_core": "updates/dkms/mlx5-core.ko.xz"}
