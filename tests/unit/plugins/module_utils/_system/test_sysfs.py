# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files: errors with their errno, one write(2) a write."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    (tmp_path / "sys/d").mkdir(parents=True)
    (tmp_path / "sys/file").write_text("7\n\n")
    os.symlink("../../drivers/igb", tmp_path / "sys/driver")
    return Sysfs(f"{tmp_path}/")


def test_reading(sysfs: Sysfs) -> None:
    assert sysfs.read("/sys/file") == "7"
    assert sysfs.names("/sys") == ["d", "driver", "file"]
    assert sysfs.names("/nowhere") == []
    assert (sysfs.link("/sys/driver"), sysfs.target("/sys/driver")) == ("igb", "../../drivers/igb")
    assert (sysfs.link("/sys/none"), sysfs.target("/sys/none")) == (None, None)
    assert (sysfs.exists("/sys/driver"), sysfs.exists("/sys/none")) == (True, False)


def test_reading_bytes(sysfs: Sysfs, tmp_path: Path) -> None:
    (tmp_path / "sys/config").write_bytes(bytes(range(256)) * 2)
    assert sysfs.read_bytes("/sys/config", 256) == bytes(range(256))
    with pytest.raises(KernelError, match="cannot read /sys/none: ENOENT"):
        sysfs.read_bytes("/sys/none", 1)


def test_writing_is_one_write(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write

    def noted(handle: int, data: bytes) -> int:
        written.append(data)
        return write(handle, data)

    monkeypatch.setattr(os, "write", noted)
    sysfs.write("/sys/file", "0-3,200")
    assert written == [b"0-3,200"]
    assert sysfs.read("/sys/file") == "0-3,200"


def test_nothing_is_created(sysfs: Sysfs) -> None:
    with pytest.raises(KernelError, match=r"cannot write '1' to /sys/none: ENOENT") as caught:
        sysfs.write("/sys/none", "1")
    assert (caught.value.errno, caught.value.path, caught.value.value) == (errno.ENOENT, "/sys/none", "1")


# call, errno
FAILING: list[tuple[Callable[[Sysfs], object], int]] = [
    (lambda sysfs: sysfs.read("/sys/none"), errno.ENOENT),
    (lambda sysfs: sysfs.read("/sys/d"), errno.EISDIR),
    (lambda sysfs: sysfs.write("/sys/d", "1"), errno.EISDIR),
    (lambda sysfs: sysfs.names("/sys/file"), errno.ENOTDIR),
    (lambda sysfs: sysfs.link("/sys/file"), errno.EINVAL),
]


@pytest.mark.parametrize(("call", "number"), FAILING)
def test_errno_is_kept(sysfs: Sysfs, call: Callable[[Sysfs], object], number: int) -> None:
    with pytest.raises(KernelError) as caught:
        call(sysfs)
    assert caught.value.errno == number
    assert errno.errorcode[number] in str(caught.value)


def test_errno_of_the_write_itself(sysfs: Sysfs) -> None:
    """The errno of write(2), as well as of open(2)."""
    with pytest.raises(KernelError) as caught:
        Sysfs("/").write("/dev/full", "1")
    assert caught.value.errno == errno.ENOSPC
