# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner that sums up the stages of a test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import inputs, stages

FACTS = inputs.facts

# log of a stage, its exit status, (passed, failed, skipped)
COUNTS = [
    ("===== 12 passed, 3 skipped in 1.20s =====\n", 0, (12, 0, 3)),
    ("12 passed in 1.20s\nbye\n", 0, (12, 0, 0)),
    ("2 passed\n5 passed, 1 failed\n", 1, (5, 1, 0)),
    ("3 failed, 5 passed, 2 errors in 3s\n", 1, (5, 5, 0)),
    ("no counts at all\n", 0, (1, 0, 0)),
    ("", 2, (0, 1, 0)),
    ("7 passed\n", 2, (7, 1, 0)),
    ("0 passed, 2 failed\n", 0, (0, 2, 0)),
    ("2 skipped in 0.1s\n", 0, (0, 1, 2)),
]


@pytest.mark.parametrize(("log", "status", "expected"), COUNTS)
def test_count(log: str, status: int, expected: tuple[int, int, int]) -> None:
    assert stages.count(log, status) == expected


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a makefile of three targets: good, bad, last."""
    (tmp_path / "Makefile").write_text("good:\n\t@echo 3 passed\nbad:\n\t@exit 3\nlast:\n\t@touch ran; echo 1 passed\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_failed_stage_fails_the_run(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["bad", "good", "last"]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "4 passed, 1 failed"
    assert (work / "ran").exists()


def test_expensive_stages_are_not_run_after_a_failure(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["good", "bad", "--then", "last"]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "3 passed, 2 failed"
    assert not (work / "ran").exists()
    assert (work / "build/test/total").read_text() == "3 passed, 2 failed\n"


def test_all_good(work: Path) -> None:
    assert stages.main(["good", "--then", "last"]) == 0
    assert (work / "ran").exists()
    assert (work / "build/test/good.log").read_text() == "3 passed\n"


@pytest.fixture
def known(work: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Files by which stages good and last may be skipped.

    The test says which files there are.
    """
    files = {"a": "1"}
    monkeypatch.setenv("KVMFLEET_CACHE", str(work / "cache"))
    monkeypatch.delenv("KVMFLEET_FRESH", raising=False)
    monkeypatch.setattr(inputs, "STAGES", {"good": inputs.Inputs(), "last": inputs.Inputs(), "bad": inputs.Inputs()})
    monkeypatch.setattr(inputs, "digests", lambda: dict(files))
    monkeypatch.setattr(inputs, "facts", lambda: {"python": "3"})
    return files


def test_identical_inputs_are_proven_once(
    work: Path, known: dict[str, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stages.main(["good", "last"]) == 0
    (work / "ran").unlink()
    capfd.readouterr()
    assert stages.main(["good", "last"]) == 0
    shown = capfd.readouterr().out
    assert "--- good: identical inputs, proven on 20" in shown
    assert shown.splitlines()[-1] == "4 passed, 0 failed"
    assert not (work / "ran").exists()
    monkeypatch.setenv("KVMFLEET_FRESH", "1")
    assert stages.main(["last"]) == 0
    assert (work / "ran").exists()


def test_a_later_run_has_the_same_inputs(work: Path, known: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run puts into the environment of its stages."""
    monkeypatch.setattr(inputs, "facts", lambda: {"environment": FACTS()["environment"]})
    for began in ("1.5", "2.5"):
        monkeypatch.setenv(stages.BEGAN, began)
        (work / "ran").unlink(missing_ok=True)
        assert stages.main(["last"]) == 0
    assert not (work / "ran").exists()


def test_another_file_is_another_proof(work: Path, known: dict[str, str]) -> None:
    assert stages.main(["last"]) == 0
    (work / "ran").unlink()
    known["a"] = "2"
    assert stages.main(["last"]) == 0
    assert (work / "ran").exists()


def test_a_failure_and_an_edit_meanwhile_prove_nothing(
    work: Path, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stages.main(["bad"]) == 1
    assert stages.main(["bad"]) == 1
    states = iter([{"a": "1"}, {"a": "2"}, {"a": "1"}, {"a": "1"}])
    monkeypatch.setattr(inputs, "digests", lambda: next(states))
    assert stages.main(["last"]) == 0
    (work / "ran").unlink()
    assert stages.main(["last"]) == 0
    assert (work / "ran").exists()


def test_side_by_side(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stages.main(["good+bad", "--then", "last+good"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "--- good, bad: side by side"
    assert "good | 3 passed" in lines
    assert any(line.startswith(" bad | make") and ": *** " in line for line in lines)
    assert lines[-1] == "3 passed, 3 failed"
    assert (work / "build/test/good.log").read_text() == "3 passed\n"


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("ok\nFAIL series list_forms: EIO\n1 passed, 1 failed\n", ["FAIL series list_forms: EIO"]),
        ("FAILED tests/a.py::b - assert 1\n1 failed in 3 s\n", ["FAILED tests/a.py::b - assert 1"]),
        ("SURVIVED: a: b stays green\n", ["SURVIVED: a: b stays green"]),
        ("one\n\ntwo\nmake: *** [all] Error 1\n", ["one", "two", "make: *** [all] Error 1"]),
        ("".join(f"FAIL {n}\n" for n in range(8)), [*(f"FAIL {n}" for n in range(5)), "and 3 more"]),
        (f"FAIL {'x' * 500}\n", [f"FAIL {'x' * 195}"]),
        ("", []),
    ],
)
def test_what_failed_is_named(log: str, shown: list[str]) -> None:
    row = stages.Row("unit", 0, 1, 0, 3.0)
    assert stages.failures(row, log) == [f"unit: {line}" for line in shown]


def test_the_end_of_a_run_names_what_failed(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """CI keeps the last lines of a run, and no log."""
    assert stages.main(["good", "bad", "--then", "last"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[-3].startswith("bad: make")
    assert ": *** " in lines[-3]
    assert lines[-2:] == ["bad: all of it: build/test/bad.log", "3 passed, 2 failed"]
