# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB in the boot sectors of disks of BIOS hosts.

Real: boot.img and core images of grub-mkimage, with what grub-install builds in. Played: disks, partitions and arrays.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import loaders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.grub import Grub
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from tests.fake.boot.grub import MODULES, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")
UUID, OTHER = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
MD = "00010203:04050607:08090a0b:0c0d0e0f"
SEARCH = "search.fs_uuid {} root hd0,msdos1\nset prefix=($root)'/boot/grub'\n"
HERE, ELSEWHERE = ("", SEARCH.format(UUID)), ("", SEARCH.format(OTHER))
ON_DISK, ON_ARRAY = ("(,msdos1)/boot/grub", ""), (f"(mduuid/{MD.replace(':', '')})/boot/grub", "")


def put(root: Path, name: str, text: str | bytes = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def link(root: Path, name: str, target: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).symlink_to(target)


def install(root: Path, disk: str, prefix: str, configuration: str) -> None:
    """Put GRUB where grub-bios-setup puts it."""
    put(root, "load.cfg", configuration)
    words = ["-p", prefix or "/boot/grub", *(["-c", str(root / "load.cfg")] if configuration else [])]
    image = root / "core.img"
    modules = ["biosdisk", "part_msdos", "ext2", "search_fs_uuid", "normal"]
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-d", MODULES, "-o", image, *words, *modules], check=True)
    put(root, f"dev/{disk}", ((MODULES / "boot.img").read_bytes() + image.read_bytes()).ljust(1 << 20, b"\0"))


def sector(root: Path, disk: str) -> None:
    put(root, f"dev/{disk}", (MODULES / "boot.img").read_bytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with two disks of a partition each, /boot on vda1."""
    for disk in ("vda", "vdb"):
        put(tmp_path, f"sys/block/{disk}/{disk}1/partition", "1\n")
        put(tmp_path, f"dev/{disk}", bytes(512))
    put(tmp_path, "boot/grub/grub.cfg", "")
    put(tmp_path, "proc/self/mountinfo", "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n")
    link(tmp_path, "sys/dev/block/254:1", "../../block/vda/vda1")
    link(tmp_path, f"dev/disk/by-uuid/{UUID}", "../../vda1")
    return tmp_path


def on_array(root: Path) -> None:
    put(root, "proc/self/mountinfo", "1 0 9:0 / / rw - ext4 /dev/md0 rw\n")
    link(root, "sys/dev/block/9:0", "../../block/md0")
    link(root, f"dev/disk/by-id/md-uuid-{MD}", "../../md0")
    for disk in ("vda", "vdb"):
        put(root, f"sys/class/block/md0/slaves/{disk}1/partition", "1\n")


def evidence(root: Path) -> tuple[str, ...]:
    loader = loaders.find(Sysfs(str(root)), lambda argv: "")
    assert isinstance(loader, Grub)
    return loader.evidence


def test_sectors_that_lead_to_this_host(root: Path) -> None:
    install(root, "vda", *ON_DISK)
    install(root, "vdb", *HERE)
    assert evidence(root) == (
        "boot sector of GRUB on vda, vdb", "the boot sector of vda leads to /boot/grub",
        "the boot sector of vdb leads to /boot/grub",
    )  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
def test_members_of_an_array(root: Path, known: bool) -> None:
    """Disks that carry the folder are this host's, whatever their sectors are."""
    on_array(root)
    for disk in ("vda", "vdb"):
        install(root, disk, *ON_ARRAY) if known else sector(root, disk)
    assert len(evidence(root)) == (3 if known else 1)


@pytest.mark.parametrize(
    ("built_in", "words"),
    [(ELSEWHERE, f"vdb leads to /boot/grub of file system {OTHER}"), (ON_DISK, "msdos1.*which is not /boot/grub"),
     (ON_ARRAY, "leads to .mduuid"), (None, "what that of vdb reads is not known")],
)  # fmt: skip
def test_a_second_sector_of_another_system(root: Path, built_in: tuple[str, str] | None, words: str) -> None:
    """Which one the BIOS starts is not known."""
    install(root, "vda", *HERE)
    sector(root, "vdb") if built_in is None else install(root, "vdb", *built_in)
    with pytest.raises(UnknownBootError, match=words) as caught:
        evidence(root)
    assert "'grub-install /dev/vdb'" in str(caught.value)
    assert "dd if=/dev/zero of=/dev/vdb bs=440 count=1" in str(caught.value)
    put(root, "dev/vdb", bytes(512))
    assert len(evidence(root)) == 2


def test_the_only_sector_leads_to_another_system(root: Path) -> None:
    install(root, "vdb", *ELSEWHERE)
    with pytest.raises(UnknownBootError, match="of file system 9999"):
        evidence(root)


@pytest.mark.parametrize("at", [0x5C, 0x1F4 + 512, 0x208 + 512, 0x20C + 512, 3880, 40000])
def test_a_damaged_core_image_says_nothing(root: Path, at: int) -> None:
    install(root, "vda", *HERE)
    data = bytearray((root / "dev/vda").read_bytes())
    data[at : at + 4] = b"\xff" * 4
    put(root, "dev/vda", bytes(data))
    assert evidence(root) == ("boot sector of GRUB on vda",)
