# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of packages against the checksums of dpkg."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import files
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

NAME = "linux-image-6.12"
PATHS = (
    "boot/vmlinuz-6.12", "lib/modules/6.12/kernel/fs/ext4/ext4.ko", "lib/modules/6.12/modules.dep",
    "lib/modules/6.12/modules.builtin", "usr/share/doc/linux-image/copyright", "etc/own.conf",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sums = ""
    for path in PATHS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
        sums += f"{hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()}  {path}\n"
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / f"{NAME}.md5sums").write_text(sums)
    (info / f"{NAME}.conffiles").write_text("/etc/own.conf\n")
    return tmp_path


def test_whole(root: Path) -> None:
    assert files.damaged(Sysfs(str(root)), NAME) == []


@pytest.mark.parametrize(
    ("path", "content", "found"),
    [
        ("lib/modules/6.12/kernel/fs/ext4/ext4.ko", "other", True),
        ("lib/modules/6.12/kernel/fs/ext4/ext4.ko", None, True),
        ("boot/vmlinuz-6.12", "", True),
        ("lib/modules/6.12/modules.builtin", "other", True),
        ("lib/modules/6.12/modules.dep", "made again by depmod", False),
        ("usr/share/doc/linux-image/copyright", None, False),
        ("usr/share/doc/linux-image/copyright", "other", True),
        ("etc/own.conf", "changed", False),
    ],
)
def test_damages(root: Path, path: str, content: str | None, found: bool) -> None:
    (root / path).unlink() if content is None else (root / path).write_text(content)
    assert files.damaged(Sysfs(str(root)), NAME) == ([f"/{path}"] if found else [])


def test_names_with_an_architecture(root: Path) -> None:
    info = root / "var/lib/dpkg/info"
    (info / f"{NAME}.md5sums").rename(info / f"{NAME}:amd64.md5sums")
    (root / "boot/vmlinuz-6.12").write_text("other")
    assert files.damaged(Sysfs(str(root)), NAME, "amd64") == ["/boot/vmlinuz-6.12"]


def test_many_in_words() -> None:
    assert files.in_words([f"/f{n}" for n in range(8)]) == "/f0, /f1, /f2, /f3, /f4 and 3 more"
