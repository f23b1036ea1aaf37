# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old runs on the controller: which go, and which stay."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import old_runs


def name(number: int) -> str:
    return f"202611{number:02d}T120000Z-0a1b2c"


def run(above: Path, number: int, *, forgotten: str | None = "same", text: str | None = None) -> Path:
    """A run with evidence of one host's update."""
    folder = above / name(number)
    host = folder / "evidence/h1"
    host.mkdir(parents=True)
    (host / "result.json").write_text(json.dumps({"manifest": f"m{number}"}) if text is None else text)
    if forgotten is not None:
        manifest = f"m{number}" if forgotten == "same" else forgotten
        (host / "forgotten.json").write_text(json.dumps({"manifest": manifest}))
    return folder


def left(above: Path) -> list[str]:
    return sorted(path.name for path in above.iterdir())


def test_the_newest_stay(tmp_path: Path) -> None:
    for number in (3, 1, 5, 2, 4):
        run(tmp_path, number)
    assert old_runs.prune(tmp_path, 5) == []
    assert old_runs.prune(tmp_path, 0) == []
    assert old_runs.prune(tmp_path, 2) == [f"the old run {tmp_path / name(n)} was deleted" for n in (1, 2, 3)]
    assert left(tmp_path) == [name(4), name(5)]


def test_a_run_with_an_update_that_is_not_forgotten_stays(tmp_path: Path) -> None:
    """Until any run has forgotten it."""
    run(tmp_path, 1, forgotten=None)
    run(tmp_path, 2, forgotten=None)
    way_back = run(tmp_path, 3) / "way-back-h1"
    way_back.mkdir()
    (way_back / "result.json").write_text('{"manifest": "back"}')
    run(tmp_path, 4, forgotten="m2")
    run(tmp_path, 5)
    old_runs.prune(tmp_path, 1)
    assert left(tmp_path) == [name(1), name(3), name(4), name(5)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"manifest'])
def test_a_result_that_cannot_be_read_may_be_of_states(tmp_path: Path, text: str) -> None:
    run(tmp_path, 1, text=text)
    run(tmp_path, 2)
    assert old_runs.prune(tmp_path, 1) == []


def test_nothing_else_is_deleted(tmp_path: Path) -> None:
    """Names of others, links, files."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / name(1)).symlink_to(tmp_path / "elsewhere")
    (tmp_path / name(2)).write_text("")
    (tmp_path / "my-report").mkdir()
    (tmp_path / f"{name(3)}.old").mkdir()
    run(tmp_path, 4)
    run(tmp_path, 5)
    before = left(tmp_path)
    old_runs.prune(tmp_path, 1)
    assert left(tmp_path) == [one for one in before if one != name(4)]
    assert (tmp_path / "elsewhere").is_dir()


def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    run(tmp_path, 1)
    run(tmp_path, 2)
    monkeypatch.setattr(shutil, "rmtree", fails)
    (line,) = old_runs.prune(tmp_path, 1)
    assert "was not deleted: [Errno 13] Permission denied" in line
