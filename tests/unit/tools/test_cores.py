# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sanity on newer releases of ansible-core: what is due, run, recorded, skipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools import cores
from tools.inputs import ROOT

FILES = {"plugins/a.py": "1", "plugins/b.py": "2"}


class Played:
    """Runs of the tests, none of which takes time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[tuple[str, list[str]]] = []
        self.files, self.good, self.pythons = dict(FILES), True, set(cores.CORES.values())
        self.record = folder / "EVIDENCE.json"
        monkeypatch.setattr(cores, "RECORD", self.record)
        monkeypatch.setattr(cores, "digests", lambda: self.files | {"README.md": "3"})
        monkeypatch.setattr(cores, "settings", lambda core: {"pins": core})
        monkeypatch.setattr(cores, "python", lambda version: "python" if version in self.pythons else "")
        monkeypatch.setattr(cores, "passes", self._passes)

    def _passes(self, core: str, _python: str, names: list[str]) -> bool:
        self.ran.append((core, names))
        return self.good

    def recorded(self) -> dict[str, dict[str, dict[str, str]]]:
        return dict(json.loads(self.record.read_text()))


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(tmp_path, monkeypatch)


def test_what_passed_is_run_again_only_where_it_was_edited(played: Played) -> None:
    assert cores.main(["--record"]) == 0
    assert played.ran == [("2.20", []), ("2.21", [])]
    assert played.recorded()["2.21"] == {"files": FILES, "settings": {"pins": "2.21"}}
    played.ran.clear()
    assert (cores.main([]), played.ran) == (0, [])
    played.files["plugins/b.py"] = "4"
    assert cores.main([]) == 0
    assert played.ran == [("2.20", ["plugins/b.py"]), ("2.21", ["plugins/b.py"])]
    assert played.recorded()["2.20"]["files"] == FILES  # a stage records nothing
    played.ran.clear()
    assert cores.main(["--fresh"]) == 0
    assert played.ran == [("2.20", []), ("2.21", [])]


def test_a_failure_is_one_and_is_not_recorded(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    played.good = False
    assert cores.main(["--record"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 2 failed, 0 skipped"
    assert played.recorded() == {"2.20": {}, "2.21": {}}


def test_other_settings_make_all_of_a_release_stale(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    cores.main(["--record"])
    played.ran.clear()
    monkeypatch.setattr(cores, "settings", lambda core: {"pins": "new" if core == "2.21" else core})
    assert cores.main([]) == 0
    assert played.ran == [("2.21", [])]


def test_without_its_python_a_release_is_skipped_by_name(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    cores.main(["--record"])
    played.files["plugins/b.py"] = "4"
    played.pythons.remove("3.13")
    capsys.readouterr()
    assert cores.main([]) == 0
    said = capsys.readouterr().out
    assert "ansible-core 2.21: skipped, 1 of 2 files have no valid result" in said
    assert "no Python 3.13 here" in said
    assert said.splitlines()[-1] == "2 passed, 0 failed, 1 skipped"


def test_without_any_result_a_skipped_release_proves_nothing(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    played.pythons.clear()
    assert cores.main([]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "0 passed, 0 failed, 2 skipped"  # which stages take for a failure


def test_releases_are_pinned_and_have_what_pin_resolves() -> None:
    rows = dict(re.findall(r"core-([\d.]+):([\d.]+)", (ROOT / "tools/pin").read_text()))
    assert rows == cores.CORES
    for core in cores.CORES:
        pins = (ROOT / f"requirements/core-{core}.txt").read_text()
        assert re.search(rf"^ansible-core=={re.escape(core)}\.\d+$", pins, re.MULTILINE)
        assert set(cores.settings(core)) >= {"tests/config.yml", f"requirements/core-{core}.txt"}
