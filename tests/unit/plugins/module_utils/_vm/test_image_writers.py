# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that could write to images, by this machine's own /proc."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import dry_start, image_writers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.image_writers import OpenFiles
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.images import FILE, UNCHECKED, Image
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import request


@pytest.fixture
def here(tmp_path: Path) -> Sysfs:
    """A host with this process, as the kernel shows it, alone."""
    for path in (Path("/proc") / str(os.getpid()), Path("/proc/self")):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / str(path).lstrip("/")).symlink_to(path)
    (tmp_path / "vm").mkdir()
    (tmp_path / "vm/disk.img").write_bytes(b"disk")
    return Sysfs(str(tmp_path))


IMAGE = Image("/vm/disk.img", FILE, "local")


@pytest.mark.parametrize(
    ("mode", "seen"), [("rb", False), ("r+b", True), ("ab", True)], ids=["reads", "writes", "appends"]
)
def test_a_process_with_the_image_open(here: Sysfs, mode: str, seen: bool) -> None:
    with Path(here.real(IMAGE.name)).open(mode):
        found = OpenFiles().others(here, [IMAGE], ())
        assert OpenFiles().others(here, [IMAGE], [os.getpid()]) == ()
    assert len(found) == seen
    assert all(one.startswith(f"process {os.getpid()} (") and f"its image {IMAGE.name} open" in one for one in found)
    assert OpenFiles().others(here, [IMAGE], ()) == ()


def test_a_reading_is_shared_and_what_it_found_is_looked_at_again(here: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """VMs that are restored side by side share it."""
    files, real, read = OpenFiles(), image_writers.read, list[Sysfs]()

    def counted(sysfs: Sysfs) -> image_writers.Open:
        read.append(sysfs)
        return real(sysfs)

    monkeypatch.setattr(image_writers, "read", counted)
    with Path(here.real(IMAGE.name)).open("r+b"):
        assert [len(files.others(here, [IMAGE], ())) for _vm in range(3)] == [1, 1, 1]
    assert files.others(here, [IMAGE], ()) == ()
    assert len(read) == 1
    monkeypatch.setattr(files, "_until", 0.0)
    assert files.others(here, [IMAGE], ()) == ()
    assert len(read) == 2


def test_an_image_by_another_name(here: Sysfs) -> None:
    link = Path(here.real("/vm/link"))
    link.hardlink_to(here.real(IMAGE.name))
    with link.open("r+b"):
        assert len(OpenFiles().others(here, [IMAGE], ())) == 1


def test_images_that_no_process_can_have_open(here: Sysfs) -> None:
    gone, remote = Image("/vm/gone", FILE, "local"), Image("rbd:pool/web1", UNCHECKED, "shared")
    with Path(here.real(IMAGE.name)).open("r+b"):
        assert OpenFiles().others(here, [gone, remote], ()) == ()


def opened(node: FakeNode, target: str, *words: str) -> int:
    pid = node.process("qemu-nbd", *words, holds=(target,))
    node.put(f"/proc/{pid}/fdinfo/0", "pos:\t0\nflags:\t0100002\nmnt_id:\t41\n")
    return pid


def test_a_process_that_cannot_be_read(here: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps no VM stopped, and hides no other."""
    target = Sysfs.target

    def refused(sysfs: Sysfs, path: str) -> str | None:
        if path.startswith("/proc/1/"):
            raise KernelError("read link", path, errno.EACCES)
        return target(sysfs, path)

    Path(here.real("/proc/1")).symlink_to("/proc/self")
    monkeypatch.setattr(Sysfs, "target", refused)
    with Path(here.real(IMAGE.name)).open("r+b"):
        assert len(OpenFiles().others(here, [IMAGE], ())) == 1


def test_a_file_on_a_network_is_known_by_its_name(node: FakeNode) -> None:
    """Its server may not answer, so it is not asked for anything."""
    node.put("/nas/web1.img", "disk")
    image, real = Image("/nas/web1.img", FILE, "shared"), node.host.sysfs.real
    for target, seen in ((real("/nas/other.img"), 0), (real("/nas/web1.img"), 1)):
        pid = opened(node, target)
        node.put(f"/proc/{pid}/mountinfo", "41 1 0:50 / /nas rw - nfs4 nas:/vm rw\n")
        assert len(OpenFiles().others(node.host.sysfs, [image], ())) == seen


def test_two_vms_with_one_disk_are_refused(node: FakeNode) -> None:
    """Dry starts of other preflights are none of theirs."""
    pf = node.igb()
    node.images = {"web1": ("/vm/disk.img",), "web2": ("/vm/disk.img",)}
    vms = [node.vm("web1", pf, 6), node.vm("web2", pf, 2)]
    opened(node, node.host.sysfs.real("/vm/disk.img"), "-name", f"guest={dry_start.NAME}")
    assert codes(node) == []
    for vm in vms:
        node.put(f"/proc/{vm.pid}/fdinfo/0", "flags:\t02\n")
    assert codes(node) == ["image-used", "image-used"]


def codes(node: FakeNode) -> list[str]:
    _facts, verdict = arm.examine(node.live, request())
    return [one.code for one in verdict.refusals]
