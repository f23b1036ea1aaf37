# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial of a planted fault: a run of its test.

The test must fail by an assertion or an error of the engine. One that cannot even be collected, or that fails by a
NameError and the like, shows a broken fault, not a good test.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from tools import inputs

from .mutant import Mutant

DEADLINE_S = 300.0
"""Deadline for a run of one test; a killed one proves nothing."""
MORE_S = 10.0
"""What each further test of a run adds."""
OBSERVE = str(Path(__file__).with_name("observe.py"))
OPTIONS = ("-q", "-x", "-p", "no:xdist", "--hypothesis-seed=0", "--junitxml=build/junit.xml")
CRASH = re.compile(
    r"(NameError|UnboundLocalError|AttributeError|TypeError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError)\b"
)
"""Beginnings of failures of planted texts that make no sense.

No refactoring would get that far.
"""


@dataclass(frozen=True)
class Run:
    """The result of a run of pytest.

    Its exit status (None after `DEADLINE_S`), messages of failures, and errors outside of tests; the notes of what was
    ``seen`` to be used (observe.py).
    """

    status: int | None
    failures: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    output: str = ""
    seen: frozenset[str] = frozenset()


def pytest(folder: Path, tests: Sequence[str], *, bytecode: bool = False, observed: bool = True) -> Run:
    """Run ``tests`` in the copy at ``folder``.

    ``bytecode`` may be kept only without a fault. What the tests use is known only if they are ``observed``, which
    takes its time.
    """
    report, notes = folder / "build/junit.xml", folder / "build/seen"
    report.parent.mkdir(exist_ok=True)
    for path in (report, notes):
        path.unlink(missing_ok=True)
    program = [OBSERVE, str(notes)] if observed else ["-m", "pytest"]
    process = subprocess.Popen(
        [sys.executable, *program, *OPTIONS, *tests], cwd=folder, env=environment(bytecode=bytecode),
        start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    try:
        output, _none = process.communicate(timeout=DEADLINE_S + MORE_S * (len(tests) - 1))
    except subprocess.TimeoutExpired:
        return Run(None)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    run = read_report(process.returncode, report.read_text(encoding="utf-8") if report.exists() else "", output)
    return replace(run, seen=frozenset(notes.read_text(encoding="utf-8").splitlines() if notes.exists() else ()))


def environment(*, bytecode: bool) -> dict[str, str]:
    """The environment of a trial, without settings that could decide it."""
    names = ("PYTHON", *inputs.ENVIRONMENT)
    given = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return given if bytecode else {**given, "PYTHONDONTWRITEBYTECODE": "1"}


def read_report(status: int, report: str, output: str) -> Run:
    """A run from pytest's exit status, JUnit report and output.

    The report may be missing.
    """
    root = ElementTree.fromstring(report or "<testsuites/>")
    failures = tuple(item.get("message", "") for item in root.iter("failure"))
    errors = tuple(item.get("message", "") for item in root.iter("error"))
    return Run(status, failures, errors, output)


def verdict(mutant: Mutant, run: Run) -> str:
    """The reason why a fault was not caught; empty for one caught."""
    if run.status == 0:
        return f"SURVIVED: {mutant.name}: {mutant.test} stays green"
    if run.status is None:
        return f"no verdict: {mutant.name}: {mutant.test} did not end within {DEADLINE_S:g} s"
    if run.status != 1 or run.errors or not run.failures:
        what = next(iter(run.errors), f"pytest ended with status {run.status}")
        return f"no verdict: {mutant.name}: {mutant.test} did not get to its end: {what}"
    if crashes := [message for message in run.failures if CRASH.match(message)]:
        return f"no verdict: {mutant.name}: the planted text does not even run: {crashes[0]}"
    return ""
