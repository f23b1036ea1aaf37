# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stage says of the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.faults.rows import ROWS
from tests.faults import record, run
from tests.faults.record import LAB, LOCAL


@pytest.fixture(autouse=True)
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")


def test_a_case_without_a_result_fails_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.check(run.SAMPLE) == (0, len(run.CASES))
    shown = capsys.readouterr().out
    assert f"faults, local: {len(run.CASES)} no result: " in shown
    assert f"faults, lab: {len(ROWS)} no result: {ROWS[0].name}" in shown
    assert f"{len(run.CASES) - len(run.SAMPLE)} local ones" in shown


def test_results_of_another_engine_fail_at_both_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, one in run.CASES.items():
        record.before(LOCAL, one)(name, True)
    record.before(LAB, ROWS[0])(ROWS[0].name, True)
    assert run.check(run.SAMPLE) == (len(run.CASES) + 1, 0)
    monkeypatch.setattr(record, "engine", lambda: "another")
    assert run.check(run.SAMPLE) == (0, len(run.CASES) + 1)
