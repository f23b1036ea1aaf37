# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pristine kernel source, for several programs at once."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3] / "kernel" / "tree"


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "Makefile").write_text("VERSION = 6\n")
    with tarfile.open(tmp_path / "linux.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "Makefile", "linux-source-6.12/Makefile")
    return os.environ | {"KERNEL_ARCHIVE": str(tmp_path / "linux.tar.xz"), "KVMFLEET_CACHE": str(tmp_path / "cache")}


def start(surroundings: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([TREE], env=surroundings, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def test_several_at_once_unpack_it_once(surroundings: dict[str, str]) -> None:
    answers = [one.communicate(timeout=60) for one in [start(surroundings) for _ in range(6)]]
    paths = {out.strip() for out, _ in answers}
    assert len(paths) == 1
    assert (Path(paths.pop()) / "Makefile").read_text() == "VERSION = 6\n"
    assert sum("unpacking" in error for _, error in answers) == 1


def test_what_is_there_stays(surroundings: dict[str, str]) -> None:
    tree = Path(start(surroundings).communicate(timeout=60)[0].strip())
    (tree / "read.me").touch()
    start(surroundings).communicate(timeout=60)
    assert (tree / "read.me").exists()


def test_a_run_that_was_broken_off_leaves_no_half_tree(surroundings: dict[str, str]) -> None:
    tree = Path(start(surroundings).communicate(timeout=60)[0].strip())
    (tree.parent / "partial").mkdir()
    (tree.parent / "partial" / "half").touch()
    tree.rename(tree.parent / "away")
    start(surroundings).communicate(timeout=60)
    assert [path.name for path in tree.iterdir()] == ["Makefile"]


def test_a_missing_archive_is_named(surroundings: dict[str, str]) -> None:
    one = start(surroundings | {"KERNEL_ARCHIVE": "/nowhere.tar.xz"})
    error = one.communicate(timeout=60)[1]
    assert one.returncode == 1
    assert "/nowhere.tar.xz is missing: install the package, or set KERNEL_ARCHIVE" in error
