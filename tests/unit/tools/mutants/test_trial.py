# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials of planted faults: runs of pytest and their verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import trial
from tools.mutants.copies import fault
from tools.mutants.mutant import planted
from tools.mutants.trial import Run

from .project import ADDS, CODE


def test_a_fault_is_taken_back_whatever_happens(project: Path) -> None:
    """The file and its times, restored after an interruption.

    Python recognises bytecode by the source's size and second.
    """
    path = project / "code_.py"
    before = path.stat()

    def interrupted() -> None:
        with fault(project, ADDS):
            assert path.read_text() == planted(ADDS, CODE)
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
    assert trial.read_report(1, REPORT, "out") == Run(1, ("assert 1 == 2",), ("collection failure",), "out")
    assert trial.read_report(4, "", "out") == Run(4, (), (), "out")


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
    found = trial.verdict(ADDS, run)
    assert found.startswith(verdict)
    assert bool(found) == bool(verdict)


def test_a_run_that_hangs_is_ended(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "test_code.py").write_text("import time\n\n\ndef test_double():\n    time.sleep(600)\n")
    monkeypatch.setattr(trial, "DEADLINE_S", 0.5)
    assert trial.pytest(project, ["test_code.py::test_double"]) == Run(None)


def test_settings_in_the_environment_decide_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTEST_ADDOPTS", "KVMFLEET_TESTS_UNTIL", "ANSIBLE_CONFIG"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("HOME", "/root")
    given = trial.environment(bytecode=False)
    assert not {name for name in given if name.startswith(("PYTEST_", "KVMFLEET_", "ANSIBLE_"))}
    assert {name for name in given if name.startswith("PYTHON")} == {"PYTHONDONTWRITEBYTECODE"}
    assert given["HOME"] == "/root"
