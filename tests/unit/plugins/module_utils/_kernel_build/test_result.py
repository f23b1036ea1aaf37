# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery of packages to a folder that others read, and deliver to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.result import cached, deliver, image_of
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError

MANIFEST = {"packages": [{"file": "linux-image.deb"}]}


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "linux-image.deb").write_text("package")
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    return folder


def test_two_deliveries_at_once(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second delivery begins and ends while the first copies."""
    output, copy = tmp_path / "output", shutil.copyfile

    def slow(source: Path, target: str) -> object:
        done = copy(source, target)
        monkeypatch.setattr(shutil, "copyfile", copy)
        assert deliver(result, output, MANIFEST)
        return done

    monkeypatch.setattr(shutil, "copyfile", slow)
    assert deliver(result, output, MANIFEST)
    assert sorted(path.name for path in output.iterdir()) == ["linux-image.deb", "manifest.json"]
    assert (output / "linux-image.deb").read_text() == "package"
    assert (output / "linux-image.deb").stat().st_mode & 0o777 == 0o644


def test_what_is_there_already_is_no_change(result: Path, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "other.deb").write_text("somebody else's")
    assert deliver(result, tmp_path / "output", MANIFEST)
    assert not deliver(result, tmp_path / "output", MANIFEST)
    assert (tmp_path / "output" / "other.deb").exists()


# manifests in a cache that nobody wrote so
DAMAGED = [
    b"-1", b"[]", b"{", b"\xff", b"null", b"[" * 9000, b'{"packages": 3}', b'{"packages": [{"file": 1, "sha256": 2}]}',
    b'{"packages": [{"file": "../result/linux-image.deb", "sha256": "x"}]}', b'{"packages": []}', b"",
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_manifest_is_none(result: Path, content: bytes) -> None:
    """The kernel is built again then."""
    (result / "manifest.json").write_bytes(content)
    assert cached(result) is None


def test_a_folder_in_place_of_a_manifest_is_none(result: Path) -> None:
    (result / "manifest.json").unlink()
    (result / "manifest.json").mkdir()
    assert cached(result) is None


def test_a_package_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"!<arch>\ndebian-binary")
    with pytest.raises(SriovError, match=r"a.deb is cut off or no package .*: build it again"):
        image_of(tmp_path / "a.deb")
