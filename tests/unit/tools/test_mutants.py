# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that plants faults, and its list.

The tool runs on a project of a few lines; the list must fit this checkout.
"""

from __future__ import annotations

import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from tools import mutants
from tools.mutants import BadListError, Mutant, Run

CODE = "def double(n):\n    return 2 * n\n\n\ndef half(n):\n    return n // 2\n"
TESTS = (
    "import code_\n\n\ndef test_double():\n    assert code_.double(4) == 8\n\n\n"
    "def test_half():\n    assert code_.half(4) == 2\n\n\ndef test_wrong():\n    assert code_.half(4) == 3\n"
)
ADDS = Mutant("it adds", "code_.py", "2 * n", "2 + n", "test_code.py::test_double")
UP = Mutant("it rounds up", "code_.py", "n // 2", "-(-n // 2)", "test_code.py::test_half")
CRASH = Mutant("it is another name", "code_.py", "n // 2", "m // 2", "test_code.py::test_half")
GONE = Mutant(
    "it cannot be imported", "code_.py", "def half(", "import nowhere\n\n\ndef half(", "test_code.py::test_half"
)
RED = Mutant("it is red before", "code_.py", "n // 2", "n / 2", "test_code.py::test_wrong")


def test_the_list_fits_the_code() -> None:
    """The list fits the code, checked in seconds.

    Whether the tests notice the faults is for `make test-mutants`.
    """
    found = mutants.parse(mutants.LIST.read_text())
    assert mutants.check(found, mutants.ROOT) == []
    assert len(found) >= 15


def test_parse() -> None:
    assert mutants.parse(yaml.safe_dump([asdict(ADDS), asdict(UP)])) == [ADDS, UP]


# list, words of the message
BAD: list[tuple[object, str]] = [
    ({"name": "x"}, "is not a list"),
    (["x"], "fault 1: it must be a mapping of texts with the keys name, file, old, new, test"),
    ([{**asdict(ADDS), "why": "x"}], "fault 1: it must be"),
    ([asdict(ADDS), {**asdict(UP), "new": 2}], "fault 2: it must be"),
    ([asdict(ADDS), {**asdict(UP), "name": "it adds"}], "fault 2: there is another 'it adds'"),
]


@pytest.mark.parametrize(("rows", "words"), BAD)
def test_parse_refuses(rows: object, words: str) -> None:
    with pytest.raises(BadListError) as caught:
        mutants.parse(yaml.safe_dump(rows))
    assert words in str(caught.value)


def test_planted() -> None:
    assert mutants.planted(ADDS, CODE) == CODE.replace("2 * n", "2 + n")


# fault, words of the message
MISFITS = [
    (
        replace(ADDS, old="3 * n"),
        "mutant 'it adds': code_.py has its old text 0 times instead of once; let tests/mutants",
    ),
    (replace(ADDS, old="return"), "has its old text 2 times"),
    (replace(ADDS, old="2 * n", new="2 * n"), "old and new are the same text"),
    (replace(ADDS, new="2 *"), "is no Python with its new text"),
]


@pytest.mark.parametrize(("mutant", "words"), MISFITS)
def test_planted_refuses(mutant: Mutant, words: str) -> None:
    with pytest.raises(BadListError) as caught:
        mutants.planted(mutant, CODE)
    assert words in str(caught.value)


def test_check_reports_everything_at_once(project: Path) -> None:
    wrong = replace(ADDS, old="3 * n", test="test_code.py::test_doubles")
    first, second, third = mutants.check([UP, wrong, replace(UP, file="none.py")], project)
    assert "has its old text 0 times" in first
    assert second == "mutant 'it adds': there is no test test_code.py::test_doubles; name the one that shall turn red"
    assert "none.py has its old text 0 times" in third
    assert mutants.check([replace(ADDS, test="test_code.py::test_double[a-b]")], project) == []


def test_chosen() -> None:
    assert mutants.chosen([ADDS, UP], []) == [ADDS, UP]
    assert mutants.chosen([ADDS, UP], ["rounds"]) == [UP]
    with pytest.raises(BadListError, match="no mutant's name has 'x' in it; names: it adds; it rounds up"):
        mutants.chosen([ADDS, UP], ["adds", "x"])


def test_a_fault_is_taken_back_whatever_happens(project: Path) -> None:
    """The file and its times, restored after an interruption.

    Python recognises bytecode by the source's size and second.
    """
    path = project / "code_.py"
    before = path.stat()

    def interrupted() -> None:
        with mutants.fault(project, ADDS):
            assert path.read_text() == mutants.planted(ADDS, CODE)
            assert int(path.stat().st_mtime) != int(before.st_mtime)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == CODE
    assert path.stat().st_mtime_ns == before.st_mtime_ns


REPORT = (
    '<testsuites><testsuite><testcase name="a"><failure message="assert 1 == 2">text</failure></testcase>'
    '<testcase name="b"><error message="collection failure">text</error></testcase></testsuite></testsuites>'
)


def test_read_report() -> None:
    assert mutants.read_report(1, REPORT, "out") == Run(1, ("assert 1 == 2",), ("collection failure",), "out")
    assert mutants.read_report(4, "", "out") == Run(4, (), (), "out")


# what pytest printed, how the verdict begins; empty: caught
VERDICTS = [
    (Run(1, ("assert 6 == 8",)), ""),
    (Run(1, ("KernelError: cannot write",)), ""),
    (Run(1, ("Failed: DID NOT RAISE TypeError",)), ""),
    (Run(0), "SURVIVED: it adds: test_code.py::test_double stays green"),
    (Run(1, ("NameError: name 'm'",)), "no verdict: it adds: the planted text does not even run: NameError"),
    (Run(1, (), ("failed on setup",)), "no verdict: it adds: test_code.py::test_double did not get to its end: failed"),
    (Run(4), "no verdict: it adds: test_code.py::test_double did not get to its end: pytest ended with status 4"),
    (Run(5), "no verdict: it adds"),
    (Run(-9), "no verdict: it adds"),
    (Run(None), "no verdict: it adds: test_code.py::test_double did not end within 300 s"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "verdict"), VERDICTS)
def test_verdict(run: Run, verdict: str) -> None:
    found = mutants.verdict(ADDS, run)
    assert found.startswith(verdict)
    assert bool(found) == bool(verdict)


def test_a_run_that_hangs_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "test_code.py").write_text("import time\n\n\ndef test_double():\n    time.sleep(600)\n")
    monkeypatch.setattr(mutants, "DEADLINE_S", 0.5)
    assert mutants.pytest(project, ["test_code.py::test_double"]) == Run(None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two functions with tests, and a failing test."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("/build/\n")
    (tmp_path / "code_.py").write_text(CODE)
    (tmp_path / "test_code.py").write_text(TESTS)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "LIST", tmp_path / "mutants.yml")
    monkeypatch.setattr(mutants, "SCRATCH", tmp_path / "build/mutants")
    return tmp_path


def run(project: Path, capsys: pytest.CaptureFixture[str], *faults: Mutant) -> tuple[int, list[str]]:
    """Run the tool; return exit status and lines.

    Nothing is left behind.
    """
    mutants.LIST.write_text(yaml.safe_dump([asdict(mutant) for mutant in faults]))
    status = mutants.main([])
    assert (project / "code_.py").read_text() == CODE
    assert list((project / "build/mutants").glob("*")) == []
    return status, capsys.readouterr().out.splitlines()


def test_all_are_caught(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = run(project, capsys, ADDS)
    assert (status, lines) == (0, ["caught: it adds by test_code.py::test_double", "mutants: 1 passed, 0 failed"])


def test_others_are_reported_one_by_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = run(project, capsys, UP, ADDS, CRASH, GONE)
    assert status == 1
    assert lines[0] == "SURVIVED: it rounds up: test_code.py::test_half stays green"
    assert lines[1].startswith("caught: it adds")
    assert "does not even run: NameError" in lines[2]
    assert lines[3].startswith("no verdict: it cannot be imported: test_code.py::test_half did not get to its end")
    assert lines[-1] == "mutants: 1 passed, 3 failed"


def test_a_test_that_is_red_anyway_proves_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = run(project, capsys, RED, ADDS)
    assert (status, lines[-1]) == (1, "mutants: 0 passed, 2 failed")
    assert lines[0] == "without any fault the named tests do not pass:"


def test_nothing_is_run_when_the_list_does_not_fit(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = run(project, capsys, ADDS, replace(UP, old="n / 2"))
    assert (status, lines[-1]) == (1, "mutants: 0 passed, 1 failed")
    assert lines[0].startswith("mutant 'it rounds up': code_.py has its old text 0 times")
