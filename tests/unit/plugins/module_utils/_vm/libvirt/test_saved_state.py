# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of saved domains: which image, and how the disks were."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.save_image import SaveImage
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.saved_state import SavedState, read_disks

IMAGE = SaveImage("c7a5fdbd-edaf-9455-926a-d65c16db1809", "w", 1, 2, "s")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(bytes(8192))
    return path


def test_a_state_is_read_as_it_was_written(tmp_path: Path, disk: Path) -> None:
    state = SavedState(IMAGE, read_disks(Sysfs(), [str(disk)]))
    path = str(tmp_path / "state")
    fingerprint = state.write(path, whole=True)
    state_file.verify(path, fingerprint)
    assert SavedState.read(path) == state


@pytest.mark.parametrize("text", ["", "{}", "[", "[1]", '{"image": {}, "disks": []}', '{"image": 1, "disks": 2}'])
def test_another_content_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state"
    path.write_bytes(bytes(state_file.HEADER) + text.encode())
    with pytest.raises(BadInputError, match="state"):
        SavedState.read(str(path))


def test_an_owner_is_no_difference_and_all_else_is(disk: Path) -> None:
    """libvirt gives images to QEMU and back, which moves their ctime."""
    state = SavedState(IMAGE, read_disks(Sysfs(), [str(disk)]))
    os.chmod(disk, 0o640)
    assert list(state.differences(Sysfs())) == []
    for key, value, text in (
        ("size", 1, "it has 8192 bytes"), ("mtime_ns", 1, "it was changed"), ("inode", 1, "it is another file"),
        ("kind", "block", "it is file, it was block"), ("sha256", "x", "its contents are not those of the save"),
    ):  # fmt: skip
        other = replace(state, disks=(replace(state.disks[0], **{key: value}),))  # type: ignore[arg-type]  # fields
        (words,) = other.differences(Sysfs())
        assert words.startswith(f"image {disk}: {text}")
    disk.unlink()
    (words,) = state.differences(Sysfs())
    assert "it cannot be read (No such file or directory)" in words
