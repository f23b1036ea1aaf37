# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool as it is run: what it tries and records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tools.mutants import __main__ as tool
from tools.mutants import record, survey
from tools.mutants.mutant import Mutant
from tools.mutants.trial import Run

from .project import ADDS, CRASH, DOWN, GONE, RED, TESTS, UP, run

CAUGHT = Run(1, ("assert 1 == 2",), seen=frozenset({"code_.py"}))
Lines = pytest.CaptureFixture[str]


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tests that were run with a fault; all catch it."""
    found: list[str] = []

    def pytest_(_folder: Path, tests: Sequence[str], *, bytecode: bool = False, **_more: bool) -> Run:
        if bytecode:
            return Run(0)
        found.extend(tests)
        return CAUGHT

    monkeypatch.setattr(survey, "pytest", pytest_)
    return found


def test_all_are_caught(project: Path, capsys: Lines) -> None:
    status, lines = run(capsys, ADDS)
    assert (status, lines) == (0, ["caught: it adds by test_code.py::test_double", "mutants: 1 passed, 0 failed"])
    assert list(record.load()) == ["it adds"]


def test_others_are_reported_one_by_one_and_not_recorded(project: Path, capsys: Lines) -> None:
    status, lines = run(capsys, UP, ADDS, CRASH, GONE)
    assert status == 1
    assert lines[0] == "SURVIVED: it rounds up: test_code.py::test_half stays green"
    assert lines[1].startswith("caught: it adds")
    assert "does not even run: NameError" in lines[2]
    assert lines[3].startswith("no verdict: it cannot be imported: test_code.py::test_half did not get to its end")
    assert lines[-1] == "mutants: 1 passed, 3 failed"
    assert list(record.load()) == ["it adds"]


def test_a_fault_that_survives_loses_its_result(project: Path, capsys: Lines) -> None:
    run(capsys, ADDS)
    (project / "test_code.py").write_text(TESTS.replace("code_.double(4) == 8", "code_.double(2) == 4"))
    for arguments in (("--stage",), ()):
        status, lines = run(capsys, ADDS, arguments=arguments)
        assert (status, lines[-1]) == (1, "mutants: 0 passed, 1 failed")
        assert "SURVIVED: it adds: test_code.py::test_double stays green" in lines
    assert record.load() == {}


def test_a_test_that_is_red_anyway_proves_nothing(project: Path, capsys: Lines) -> None:
    """And takes nothing from the others."""
    status, lines = run(capsys, RED, ADDS)
    assert (status, lines[-1]) == (1, "mutants: 1 passed, 1 failed")
    assert lines[0] == "no verdict: it is red before: test_code.py::test_wrong fails without it:"
    assert "    assert code_.half(4) == 3" in "\n".join(lines)
    assert "caught: it adds by test_code.py::test_double" in lines
    assert list(record.load()) == ["it adds"]


# what a test does that it passes only unobserved, or that is not seen; what is said of it
UNSEEN = [
    ("    import sys\n    assert sys.gettrace() is None\n", "fails when it is observed"),
    ("    import subprocess\n    subprocess.run(['true'])\n", "starts programs"),
    ("    import sys\n    sys.settrace(None)\n", "ends the tracing of calls"),
]


@pytest.mark.parametrize(("does", "why"), UNSEEN)
def test_what_cannot_be_seen_is_tried_each_time_and_not_recorded(
    project: Path, capsys: Lines, does: str, why: str
) -> None:
    """It is no reason to refuse the fault, nor others beside it."""
    (project / "test_code.py").write_text(TESTS.replace("def test_half():\n", f"def test_half():\n{does}"))
    status, lines = run(capsys, DOWN, ADDS)
    assert (status, lines[-1]) == (0, "mutants: 2 passed, 0 failed")
    assert f"caught: it is one less by test_code.py::test_half; not recorded, as the test {why}" in lines
    assert list(record.load()) == ["it adds"]


def test_nothing_is_run_when_the_list_does_not_fit(project: Path, capsys: Lines, tried: list[str]) -> None:
    status, lines = run(capsys, ADDS, replace(UP, old="n / 2"))
    assert (status, lines[-1]) == (1, "mutants: 0 passed, 1 failed")
    assert lines[0].startswith("mutant 'it rounds up': code_.py has its old text 0 times")
    assert tried == []


def test_a_valid_result_is_not_tried_again_unless_fresh(project: Path, capsys: Lines, tried: list[str]) -> None:
    run(capsys, ADDS, DOWN)
    assert sorted(tried) == sorted([ADDS.test, DOWN.test])
    tried.clear()
    status, lines = run(capsys, ADDS, DOWN)
    assert (status, tried) == (0, [])
    assert lines == [
        "mutants: 2 were not tried, their results are in tests/mutants/EVIDENCE.json (FRESH=1 tries them)",
        "mutants: 2 passed, 0 failed",
    ]
    run(capsys, ADDS, DOWN, arguments=("--fresh",))
    assert sorted(tried) == sorted([ADDS.test, DOWN.test])


def test_a_part_of_a_name_chooses(project: Path, capsys: Lines, tried: list[str]) -> None:
    """And results of faults that are not in the list are forgotten."""
    run(capsys, ADDS)
    tried.clear()
    run(capsys, UP, DOWN, arguments=("less",))
    assert tried == [DOWN.test]
    assert list(record.load()) == [DOWN.name]


def test_the_stage_tries_what_has_no_valid_result_and_a_part(
    project: Path, capsys: Lines, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "part", lambda mutants, _root: mutants[:1])
    run(capsys, ADDS, DOWN)
    before = record.FILE.read_text()
    tried.clear()
    status, lines = run(capsys, ADDS, DOWN, arguments=("--stage",))
    assert (status, tried) == (0, [ADDS.test])
    assert lines[-2:] == [
        "mutants: 1 were not tried, their results are in tests/mutants/EVIDENCE.json (`make test-mutants FRESH=1` tries"
        " all)",
        "mutants: 2 passed, 0 failed",
    ]
    tried.clear()
    status, lines = run(capsys, ADDS, DOWN, UP, arguments=("--stage",))
    assert (status, sorted(tried)) == (0, sorted([ADDS.test, UP.test]))
    assert "mutants: 1 no result: it rounds up" in lines
    assert "mutants: 1 had no valid result: run `make test-mutants`, and commit tests/mutants/EVIDENCE.json" in lines
    assert lines[-1] == "mutants: 3 passed, 0 failed"
    tried.clear()
    run(capsys, ADDS, DOWN, arguments=("--stage", "--fresh"))
    assert sorted(tried) == sorted([ADDS.test, DOWN.test])
    assert record.FILE.read_text() == before


def test_the_part_is_another_for_other_contents_and_each_has_its_turn(project: Path) -> None:
    every = [replace(ADDS, name=str(number)) for number in range(25)]
    seen: list[tuple[Mutant, ...]] = []
    for number in range(100):
        (project / "data.txt").write_text(str(number))
        seen.append(tuple(tool.part(every, project)))
        assert tuple(tool.part(every, project)) == seen[-1]
    assert {len(one) for one in seen} == {2, 3}
    assert {one for part in seen for one in part} == set(every)


def test_an_interrupted_run_keeps_what_is_recorded(
    project: Path, capsys: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial(_folder: Path, tests: Sequence[str], *, bytecode: bool = False, **_more: bool) -> Run:
        if bytecode:
            return Run(0)
        if tests == [DOWN.test]:
            raise KeyboardInterrupt
        return CAUGHT

    monkeypatch.setattr(survey, "pytest", trial)
    with pytest.raises(KeyboardInterrupt):
        run(capsys, ADDS, DOWN, replace(ADDS, name="a third"))
    assert ADDS.name in record.load()
    assert DOWN.name not in record.load()


def test_what_was_not_seen_is_not_recorded(project: Path, capsys: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = replace(CAUGHT, seen=frozenset())
    monkeypatch.setattr(survey, "pytest", lambda *_unused, bytecode=False, **_more: Run(0) if bytecode else blind)
    status, lines = run(capsys, ADDS)
    assert status == 0
    assert lines[0].endswith("; not recorded, as the test was not seen")
    assert record.load() == {}
