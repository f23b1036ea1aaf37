# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The speed of a disk, on a real one."""

from __future__ import annotations

import errno
import itertools
import mmap
import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import disk_speed


def test_a_real_disk(tmp_path: Path) -> None:
    found = disk_speed.measure(str(tmp_path), 16, 30.0)
    assert (found.mib, found.write_mib_s > 0, found.read_mib_s > 0) == (16, True, True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_whatever_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def full(_handle: int, _buffer: mmap.mmap, _at: int) -> int:
        seen.append(len(list(tmp_path.iterdir())))
        raise OSError(errno.ENOSPC, "x")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(KernelError, match="measure the disk of"):
        disk_speed.measure(str(tmp_path), 16, 30.0)
    assert (seen, list(tmp_path.iterdir())) == ([0], [])


def test_a_slow_disk_is_measured_with_less(tmp_path: Path) -> None:
    """Four seconds for each step of a clock: writing ends early."""
    ticks = itertools.count(0.0, 4.0)
    found = disk_speed.measure(str(tmp_path), 64, 10.0, lambda: next(ticks))
    assert (found.mib, found.write_mib_s) == (12, 0.8)


def test_writing_counts_until_it_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sync(_handle: int) -> None:
        now[0] += 8.0

    monkeypatch.setattr(os, "fsync", sync)
    assert disk_speed.measure(str(tmp_path), 16, 30.0, lambda: now[0]).write_mib_s == 2.0


def test_a_file_system_without_direct_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: str, flags: int, *rest: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "x")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refusing)
    found = disk_speed.measure(str(tmp_path), 8, 30.0)
    assert (found.direct, found.mib) == (False, 8)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="create a file in"):
        disk_speed.measure(str(tmp_path / "none"), 8, 30.0)
