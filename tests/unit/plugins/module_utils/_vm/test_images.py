# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, distinguished from what became of them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images, storage
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import Image

NAME = "/vm/disk.img"


class Root:
    """A root with one image on ext4."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sysfs = Sysfs(str(folder))
        self.put("/proc/self/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda rw\n")
        self.image = self.put(NAME, "x" * 5000)

    def put(self, path: str, text: str) -> Path:
        target = self.folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def link(self, path: str, target: str) -> None:
        (self.folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, self.folder / path.lstrip("/"))

    def disk(self, name: str, number: str, path: str = "pci0000:00/0000:00:02.0/block") -> None:
        """A block device at its path below /sys/devices."""
        self.put(f"/sys/class/block/{name}/dev", number + "\n")
        self.link(f"/sys/dev/block/{number}", f"../../devices/{path}/{name}")

    def mount(self, number: str, kind: str, source: str) -> None:
        self.put(
            "/proc/self/mountinfo", f"1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 {number} / /vm rw - {kind} {source} rw\n"
        )


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def written(root: Root) -> None:
    with root.image.open("r+") as file:
        file.write("y")


def written_and_dated_back(root: Root) -> None:
    before = root.image.stat()
    written(root)
    os.utime(root.image, ns=(before.st_atime_ns, before.st_mtime_ns))


def rolled_back(root: Root) -> None:
    shutil.copy2(root.image, root.image.with_name("copy"))
    written(root)
    shutil.copy2(root.image.with_name("copy"), root.image)


def replaced(root: Root) -> None:
    shutil.copy2(root.image, root.image.with_name("copy"))
    root.image.with_name("copy").replace(root.image)


def grown(root: Root) -> None:
    os.truncate(root.image, 6000)


def removed(root: Root) -> None:
    root.image.unlink()


def made_a_folder(root: Root) -> None:
    root.image.unlink()
    root.image.mkdir()


CHANGES = [
    (written, "it was changed"), (written_and_dated_back, "it was changed"), (rolled_back, "it was changed"),
    (replaced, "it is another file"), (grown, "it has 6000 bytes, it had 5000"), (removed, "it cannot be read"),
    (lambda root: root.image.touch(), "it was changed"), (made_a_folder, "it is unchecked, it was file"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_each_change_is_seen(root: Root, change: Callable[[Root], None], words: str) -> None:
    before = images.read(root.sysfs, NAME)
    assert images.difference(root.sysfs, before) is None
    time.sleep(0.02)  # the kernel's clock of files may be as coarse as that
    change(root)
    assert words in (images.difference(root.sysfs, before) or "")


NOT_OWNED = [one for one in CHANGES if one[0] not in (rolled_back, written_and_dated_back)]
NOT_OWNED += [(rolled_back, ""), (written_and_dated_back, "its contents are not those of the save")]


@pytest.mark.parametrize(("change", "words"), NOT_OWNED)
def test_each_change_of_contents_is_seen_where_others_change_owners(
    root: Root, change: Callable[[Root], None], words: str
) -> None:
    """What is as before, with its time, is the same image there."""
    before = images.read(root.sysfs, NAME, owned=False)
    time.sleep(0.02)
    root.image.chmod(0o640)
    assert images.difference(root.sysfs, before) is None
    assert images.parse([asdict(before)], "claim") == (before,)
    change(root)
    found = images.difference(root.sysfs, before)
    assert (found is None) if words == "" else (words in (found or ""))


def test_reading_changes_nothing(root: Root) -> None:
    before = images.read(root.sysfs, NAME)
    root.image.read_text()
    root.image.chmod(0o400)
    root.image.chmod(0o400)
    again = images.read(root.sysfs, NAME)
    assert (again.mtime_ns, again.inode, again.size) == (before.mtime_ns, before.inode, before.size)
    assert images.difference(root.sysfs, again) is None


def test_names_are_relative_to_the_process(root: Root) -> None:
    assert images.read(root.sysfs, "disk.img", "/vm").name == NAME
    with pytest.raises(KernelError, match=r"/vm/none\.img"):
        images.read(root.sysfs, "none.img", "/vm")


@pytest.mark.parametrize("name", ["nbd:host:10809/e", "rbd:p/i", "iscsi://h/t/0", "https://h/x"])
def test_networks_cannot_be_compared(root: Root, name: str) -> None:
    image = images.read(root.sysfs, name)
    assert (image.kind, image.storage, image.name) == ("unchecked", "shared", name)
    assert images.difference(root.sysfs, image) is None


def test_another_file_system_at_the_same_place(root: Root) -> None:
    root.disk("sdb1", "8:17")
    root.link("/dev/disk/by-uuid/aa-bb", "../../sdb1")
    root.mount("8:17", "ext4", "/dev/sdb1")
    before = images.read(root.sysfs, NAME)
    assert (before.filesystem, before.storage) == ("aa-bb", "local")
    (root.folder / "dev/disk/by-uuid/aa-bb").rename(root.folder / "dev/disk/by-uuid/cc-dd")
    assert images.difference(root.sysfs, before) == "it is on file system cc-dd, it was on aa-bb"


def test_device_numbers_may_move(root: Root) -> None:
    root.disk("sdb1", "8:17")
    root.link("/dev/disk/by-uuid/aa-bb", "../../sdb1")
    root.mount("8:17", "ext4", "/dev/sdb1")
    before = images.read(root.sysfs, NAME)
    root.disk("sdc1", "8:33")
    (root.folder / "dev/disk/by-uuid/aa-bb").unlink()
    root.link("/dev/disk/by-uuid/aa-bb", "../../sdc1")
    root.mount("8:33", "ext4", "/dev/sdc1")
    assert images.difference(root.sysfs, before) is None


def test_a_file_system_without_uuid_yet(root: Root) -> None:
    """Before udev has made its links the other properties tell."""
    root.disk("sdb1", "8:17")
    root.link("/dev/disk/by-uuid/aa-bb", "../../sdb1")
    root.mount("8:17", "ext4", "/dev/sdb1")
    before = images.read(root.sysfs, NAME)
    shutil.rmtree(root.folder / "dev")
    assert images.difference(root.sysfs, before) is None
    time.sleep(0.02)
    written(root)
    assert images.difference(root.sysfs, before) is not None


@pytest.mark.parametrize(
    ("kind", "source", "wanted"),
    [
        ("ext4", "/dev/sdb1", ("local", "")), ("xfs", "/dev/sdb1", ("local", "")),
        ("nfs", "h:/e", ("shared", "h:/e")), ("nfs4", "h:/e", ("shared", "h:/e")),
        ("cifs", "//h/s", ("shared", "//h/s")),
        ("smb3", "//h/s", ("shared", "//h/s")), ("ceph", "h:/", ("shared", "h:/")), ("9p", "t", ("shared", "t")),
        ("glusterfs", "h:v", ("shared", "h:v")), ("fuse.glusterfs", "h:v", ("shared", "h:v")),
        ("fuse.sshfs", "h:", ("shared", "h:")), ("gfs2", "/dev/sdb1", ("shared", "")),
        ("ocfs2", "/dev/sdb1", ("shared", "")), ("virtiofs", "t", ("shared", "t")),
        ("lustre", "h:/l", ("shared", "h:/l")),
        ("zfs", "tank/vm", ("local", "tank/vm")), ("btrfs", "/dev/sdb1", ("local", "")),
        ("tmpfs", "tmpfs", ("memory", "tmpfs")), ("ramfs", "none", ("memory", "none")),
        ("fuseblk", "/dev/sdb1", ("local", "")),
    ],
)  # fmt: skip
def test_storage_by_the_kind_of_file_system(root: Root, kind: str, source: str, wanted: tuple[str, str]) -> None:
    root.mount("0:99", kind, source)
    place = storage.of_path(root.sysfs, NAME)
    assert (place.storage, place.identity) == wanted


def test_the_mount_that_counts(root: Root) -> None:
    """The nearest around the path behind its links; the last of equals."""
    lines = [
        "1 0 254:0 / / rw - ext4 /dev/vda rw", "2 1 0:9 / /vm rw - nfs h:/e rw", "3 1 0:8 / /vm-2 rw - ext4 x rw",
        r"4 1 0:7 / /a\040b rw - nfs4 h:/f rw", "5 1 0:6 / /vm/in rw - ext4 y rw", "6 5 0:5 / /vm/in rw - ceph z rw",
    ]  # fmt: skip
    root.put("/proc/self/mountinfo", "\n".join(lines) + "\n")
    for path, wanted in {"/vm/x": "nfs", "/vm-2/x": "ext4", "/a b/x": "nfs4", "/vm/in/x": "ceph", "/x": "ext4"}.items():
        root.put(path, "")
        assert storage.of_path(root.sysfs, path).kind == wanted
    root.link("/link", str(root.folder / "vm"))
    assert storage.of_path(root.sysfs, "/link/x").kind == "nfs"


def test_disks_on_a_network(root: Root) -> None:
    places = {
        "sda": ("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block", "unknown"),
        "sdb": ("platform/host3/session1/target3:0:0/3:0:0:1/block", "shared"),
        "sdc": ("pci0000:00/0000:05:00.0/host5/rport-5:0-2/target5:0:0/5:0:0:0/block", "shared"),
        "rbd0": ("rbd/0/block", "shared"), "nbd3": ("virtual/block", "shared"), "drbd1": ("virtual/block", "shared"),
        "nvme0n1": ("pci0000:00/0000:06:00.0/nvme/nvme0", "unknown"),
        "nvme1n1": ("virtual/nvme-fabrics/ctl/nvme1", "shared"),
        "nvme2n1": ("virtual/nvme-subsystem/nvme-subsys2", "shared"),
        "nvme3n1": ("virtual/nvme-subsystem/nvme-subsys3", "unknown"),
        "zram0": ("virtual/block", "memory"), "ram1": ("virtual/block", "memory"),
        "loop0": ("virtual/block", "unknown"),
    }  # fmt: skip
    for name, transport in {"nvme0": "pcie", "nvme1": "tcp", "nvme7": "rdma", "nvme3": "pcie"}.items():
        root.put(f"/sys/class/nvme/{name}/transport", transport + "\n")
    for subsystem, controller in {"nvme-subsys2": "nvme7", "nvme-subsys3": "nvme3"}.items():
        root.put(f"/sys/class/nvme-subsystem/{subsystem}/{controller}/x", "")
    for number, (name, (path, wanted)) in enumerate(places.items()):
        root.disk(name, f"9:{number}", path)
        assert storage.of_device(root.sysfs, f"9:{number}") == wanted, name


@pytest.mark.parametrize(("kind", "wanted"), [("tmpfs", "memory"), ("nfs4", "shared"), ("ext4", "unknown")])
def test_a_loop_device_is_where_its_file_is(root: Root, kind: str, wanted: str) -> None:
    """So is a partition, a volume or a file system on it."""
    root.disk("loop7", "7:7", "virtual/block")
    root.put("/sys/class/block/loop7/loop/backing_file", "/far/away.img\n")
    root.disk("dm-0", "253:0", "virtual/block")
    root.put("/sys/class/block/dm-0/slaves/loop7/x", "")
    root.put("/proc/self/mountinfo", f"1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /far rw - {kind} x rw\n")
    assert storage.of_device(root.sysfs, "7:7") == wanted
    assert storage.of_device(root.sysfs, "253:0") == wanted
    root.mount("253:0", "ext4", "/dev/dm-0")
    root.put("/proc/self/mountinfo", f"1 0 253:0 / / rw - ext4 /dev/dm-0 rw\n2 1 0:9 / /far rw - {kind} x rw\n")
    assert storage.of_path(root.sysfs, NAME).storage == wanted.replace("unknown", "local")


def test_volumes_on_disks_of_a_network(root: Root) -> None:
    """LVM on LVM on iSCSI, and a file system on it."""
    root.disk("sdb", "8:16", "platform/host3/session1/target3:0:0/3:0:0:1/block")
    root.disk("dm-0", "253:0", "virtual/block")
    root.put("/sys/class/block/dm-0/slaves/sdb/x", "")
    root.disk("dm-1", "253:1", "virtual/block")
    root.put("/sys/class/block/dm-1/slaves/dm-0/x", "")
    assert storage.of_device(root.sysfs, "253:1") == "shared"
    root.mount("253:1", "ext4", "/dev/mapper/v-l")
    assert storage.of_path(root.sysfs, NAME).storage == "shared"
    root.put("/sys/class/block/dm-0/slaves/dm-1/x", "")  # a circle has an end


@pytest.mark.parametrize("kind", ["vfat", "exfat", "fuse.x", "cifs", "9p"])
def test_inodes_that_are_numbered_anew_say_nothing(root: Root, kind: str) -> None:
    root.mount("0:99", kind, "x")
    assert images.read(root.sysfs, NAME).inode == 0


def test_a_block_device_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the place of a disk."""
    root = Root(tmp_path)
    root.image.write_bytes(bytes(images.HEAD + 640 * images.SAMPLE))
    monkeypatch.setattr(stat, "S_ISBLK", lambda _mode: True)
    before = images.read(root.sysfs, NAME)
    assert (before.kind, before.size) == ("block", images.HEAD + 640 * images.SAMPLE)
    for place in (0, 1025, (1 << 20) + 1025, images.HEAD - 1, before.size // 2, before.size - 1):
        with root.image.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
            file.flush()
            assert images.difference(root.sysfs, before) == "its contents are not those of the save", place
            file.seek(place)
            file.write(b"\0")
        assert images.difference(root.sysfs, before) is None
    os.truncate(root.image, before.size - 1)
    assert "bytes, it had" in (images.difference(root.sysfs, before) or "")


def test_images_of_a_claim_are_as_they_were(root: Root) -> None:
    found = (images.read(root.sysfs, NAME), images.read(root.sysfs, "rbd:p/i"))
    assert images.parse(json.loads(json.dumps([asdict(one) for one in found])), "x") == found


@pytest.mark.parametrize(
    "change", [{"name": 3}, {"inode": "3"}, {"size": True}, {"ctime_ns": 1.5}, {"sha256": None}, {"more": 1}]
)
def test_images_of_wrong_types(change: dict[str, object]) -> None:
    good = asdict(Image("/a", "file", "local"))
    with pytest.raises(BadInputError, match=r"claim\.images\[0\]"):
        images.parse([{**good, **change}], "claim.images")
    with pytest.raises(BadInputError, match=r"claim\.images"):
        images.parse(good, "claim.images")


def test_what_a_process_has_open(root: Root) -> None:
    os.makedirs(root.folder / "proc/7/fd")
    os.symlink(root.image, root.folder / "proc/7/fd/3")
    os.symlink("socket:[1]", root.folder / "proc/7/fd/4")
    found = [images.find(root.sysfs, NAME), images.find(root.sysfs, "rbd:p/i")]
    assert list(images.replaced(root.sysfs, 7, found)) == []
    root.put("/vm/other", "x")
    assert list(images.replaced(root.sysfs, 7, [images.find(root.sysfs, "/vm/other")])) == ["/vm/other"]
