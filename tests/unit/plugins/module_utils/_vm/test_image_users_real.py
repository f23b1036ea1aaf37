# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses of images on this machine: a loop device, a mount, `qemu-nbd`."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.image_writers import OpenFiles

LOOPS = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="loop devices need root, and a kernel with them"
)
NBD = pytest.mark.skipif(shutil.which("qemu-nbd") is None, reason="qemu-nbd is not installed")


@pytest.fixture
def disk(tmp_path: Path) -> str:
    path = tmp_path / "disk"
    path.write_bytes(bytes(4 << 20))
    return str(path)


def used(path: str) -> str:
    return "; ".join(OpenFiles().others(Sysfs(), [images.find(Sysfs(), path)], ()))


@contextlib.contextmanager
def loop(path: str, *words: str) -> Iterator[str]:
    made = subprocess.run(["losetup", "--find", "--show", *words, path], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"losetup: {made.stderr.strip()}")
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)


@LOOPS
def test_a_loop_device_and_its_mount(disk: str, tmp_path: Path) -> None:
    assert used(disk) == ""
    with loop(disk) as device:
        assert used(disk) == (
            f"its image {disk} is in use by this host: {device} is set up on it for writing (`losetup -d {device}`)"
        )
        assert used(device) == ""
        point = tmp_path / "point"
        point.mkdir()
        made = subprocess.run(["mkfs.ext4", "-q", device], check=False, capture_output=True)
        mounted = made.returncode == 0 and subprocess.run(["mount", device, point], check=False, capture_output=True)
        if not mounted or mounted.returncode:
            pytest.skip("no ext4 here")
        try:
            assert f"{point} is mounted from {device} (`umount {point}`)" in used(disk)
            assert f"its image {device} is in use by this host: {point} is mounted from {device}" in used(device)
        finally:
            subprocess.run(["umount", point], check=True)
        assert used(device) == ""
    assert used(disk) == ""


@LOOPS
def test_a_loop_device_that_can_only_be_read(disk: str) -> None:
    with loop(disk, "--read-only"):
        assert used(disk) == ""


@NBD
def test_qemu_nbd(disk: str, tmp_path: Path) -> None:
    socket = tmp_path / "s"
    server = subprocess.Popen(["qemu-nbd", "-f", "raw", "-k", str(socket), "-t", disk])
    try:
        until = time.monotonic() + 60
        while not socket.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert f"process {server.pid} (qemu-nbd, " in used(disk)
    finally:
        server.kill()
        server.wait()
    assert used(disk) == ""
