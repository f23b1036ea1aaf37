# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stage says of the record."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.faults.rows import ROWS
from lab.faults.trial_rows import TRIALS
from tests.faults import deploy, record, run
from tests.faults.record import DEPLOY, LAB, TRIAL


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")


def test_a_case_without_a_result_fails_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.check(run.SAMPLE) == (0, len(run.EVERY))
    shown = capsys.readouterr().out
    assert f"faults, local: {len(run.CASES)} no result: " in shown
    assert f"faults, lab: {len(ROWS)} no result: {ROWS[0].name}" in shown
    assert f"faults, trial: {len(TRIALS)} no result: {TRIALS[0].name}" in shown
    assert f"faults, deploy: {len(run.DEPLOYMENTS)} no result: " in shown
    assert f"{len(run.EVERY) - len(run.SAMPLE)} local ones" in shown


def test_results_of_another_engine_fail_at_each_level(monkeypatch: pytest.MonkeyPatch) -> None:
    for level, cases in run.LEVELS.items():
        for name, one in cases.items():
            record.before(level, one)(name, True)
    record.before(LAB, ROWS[0])(ROWS[0].name, True)
    record.before(TRIAL, TRIALS[0])(TRIALS[0].name, True)
    assert run.check(run.SAMPLE) == (len(run.EVERY) + 2, 0)
    monkeypatch.setattr(record, "engine", lambda _level: "another")
    assert run.check(run.SAMPLE) == (0, len(run.EVERY) + 2)


def test_a_deployment_that_fails_is_a_line_and_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOGS", record.REPOSITORY / "build" / "faults" / tmp_path.name)
    folders: list[Path] = []

    def walk(case: deploy.Deployment, folder: Path) -> int:
        folders.append(folder)
        raise AssertionError(f"{case.act}, power cut at step 3: 6.12 is the default")

    monkeypatch.setattr(deploy, "walk", walk)
    case = run.DEPLOYMENTS["deploy_cut_confirm"]
    assert run.run_all([case.name], keep=True) == 1
    assert "power cut at step 3" in (run.LOGS / case.name / "case.log").read_text()
    assert not folders[0].exists()
    assert record.load() == {DEPLOY: {}}
    shutil.rmtree(run.LOGS)
    monkeypatch.setattr(deploy, "walk", lambda *_: 1)
    assert run.run_all([case.name], keep=True) == 0
    assert list(record.load()[DEPLOY]) == [case.name]
