# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durable and private files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    KernelError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable


def test_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    durable.write_json(str(path), {"n": 1})
    with pytest.raises(TypeError):
        durable.write_json(str(path), {"n": object()})
    assert durable.read_json(str(path)) == {"n": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_a_file_takes_its_place_when_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is renamed when it and its folder are synced.

    Else a crash could leave an empty file (rename first), or the old one (the folder's entry is synced apart).
    """
    seen: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def synced(handle: int) -> None:
        seen.append(("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def renamed(old: str, new: str) -> None:
        seen.append(("rename", os.path.basename(new)))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    durable.write_json(str(tmp_path / "a.json"), {"n": 1})
    (first, aside), *rest = seen
    assert (first, aside[:5]) == ("fsync", ".new-")
    assert rest == [("rename", "a.json"), ("fsync", tmp_path.name)]


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_damaged_json_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInputError, match=r"a\.json"):
        durable.read_json(str(tmp_path / "a.json"))


def test_link_in_place_of_a_private_file_is_refused(tmp_path: Path) -> None:
    durable.write_json(str(tmp_path / "real"), {})
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(BadInputError, match="expected a plain file"):
        durable.require_private(str(tmp_path / "link"))


def test_a_folder_that_cannot_be_deleted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have a guest's memory."""
    folder = tmp_path / "web1"
    durable.remove_tree(str(folder))
    (folder / "state").mkdir(parents=True)

    def busy(path: str, *_args: object, **_more: object) -> None:
        raise OSError(errno.EBUSY, "busy", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", busy)
        with pytest.raises(KernelError, match=r"cannot delete .*web1: EBUSY"):
            durable.remove_tree(str(folder))
    durable.remove_tree(str(folder))
    assert not folder.exists()
