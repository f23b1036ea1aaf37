# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plant faults in the engine; a named test must catch each.

The faults are listed in tests/mutants/mutants.yml and planted one at a time. Everything happens in copies of this
checkout below build/mutants/, one for each of two workers. There the named tests must pass as they are; then each is
run with its fault. A fault is caught when that test fails by an assertion or an error of the engine. A test that cannot
even be collected, or that fails by a NameError and the like, shows a broken fault, not a good test.

Each fault has one line; the last line is "mutants: N passed, N failed".
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests/mutants/mutants.yml"
SCRATCH = ROOT / "build/mutants"
WORKERS = 2
DEADLINE_S = 300.0
"""Deadline for one run of pytest; a killed one proves nothing."""

PYTEST = ("-m", "pytest", "-q", "-x", "-p", "no:xdist", "--hypothesis-seed=0", "--junitxml=build/junit.xml")
CRASH = re.compile(
    r"(NameError|UnboundLocalError|AttributeError|TypeError|ImportError|ModuleNotFoundError|SyntaxError|IndentationError)\b"
)
"""Beginnings of failures of planted texts that make no sense.

No refactoring would get that far.
"""


class BadListError(Exception):
    """The error of a list of faults that does not fit.

    It does not fit the code, or is not whole.
    """


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old`` becomes ``new`` in ``file``; ``test`` must turn red.

    ``old`` is there exactly once, and ``test`` is a node id of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


@dataclass(frozen=True)
class Run:
    """The result of a run of pytest.

    Its exit status (None after `DEADLINE_S`), messages of failures, and errors outside of tests.
    """

    status: int | None
    failures: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    output: str = ""


def parse(text: str) -> list[Mutant]:
    """The faults in the text of the list.

    Raises `BadListError` for one that is not whole or whose name is taken.
    """
    keys = [field.name for field in fields(Mutant)]
    rows: Any = yaml.safe_load(text)
    if not isinstance(rows, list):
        raise BadListError("the list of faults is not a list")
    mutants: dict[str, Mutant] = {}
    for number, row in enumerate(rows, 1):
        whole = isinstance(row, dict) and set(row) == set(keys) and all(isinstance(item, str) for item in row.values())
        if not whole:
            raise BadListError(f"fault {number}: it must be a mapping of texts with the keys {', '.join(keys)}")
        if row["name"] in mutants:
            raise BadListError(f"fault {number}: there is another '{row['name']}'; each needs a name of its own")
        mutants[row["name"]] = Mutant(**row)
    return list(mutants.values())


def planted(mutant: Mutant, text: str) -> str:
    """The file's ``text`` with the fault planted.

    Raises `BadListError` when it does not go in exactly one place.
    """
    where = f"mutant '{mutant.name}': {mutant.file}"
    if (times := text.count(mutant.old)) != 1:
        raise BadListError(
            f"{where} has its old text {times} times instead of once; let {LIST.relative_to(ROOT)} say what the code "
            "looks like now"
        )
    if mutant.new == mutant.old:
        raise BadListError(f"{where}: old and new are the same text, so nothing would be broken")
    changed = text.replace(mutant.old, mutant.new)
    try:
        ast.parse(changed)
    except SyntaxError as error:
        raise BadListError(f"{where} is no Python with its new text: {error}; plant a fault that runs") from error
    return changed


def check(mutants: Sequence[Mutant], root: Path) -> list[str]:
    """Reasons why faults cannot be planted, or their tests be found.

    ``root`` is the checkout.
    """
    problems = []
    for mutant in mutants:
        try:
            planted(mutant, _text(root, mutant.file))
        except BadListError as error:
            problems.append(str(error))
        file, _colons, function = mutant.test.partition("::")
        if not re.search(rf"^def {re.escape(function.partition('[')[0])}\(", _text(root, file), re.MULTILINE):
            problems.append(f"mutant '{mutant.name}': there is no test {mutant.test}; name the one that shall turn red")
    return problems


def chosen(mutants: Sequence[Mutant], parts: Sequence[str]) -> list[Mutant]:
    """The faults whose names hold one of ``parts``; all without parts.

    Raises `BadListError` for a part of no name.
    """
    for part in parts:
        if not any(part in mutant.name for mutant in mutants):
            raise BadListError(f"no mutant's name has '{part}' in it; names: {'; '.join(m.name for m in mutants)}")
    return [mutant for mutant in mutants if not parts or any(part in mutant.name for part in parts)]


def copy(target: Path) -> None:
    """Copy the checkout's tracked and new files, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


@contextmanager
def fault(folder: Path, mutant: Mutant) -> Iterator[None]:
    """Plant the fault in the copy at ``folder``, and restore the file.

    Its times are restored too: bytecode is recognised by them.
    """
    path = folder / mutant.file
    before, times = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(planted(mutant, before), encoding="utf-8")
    os.utime(path, (times.st_atime, times.st_mtime + 10))
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def pytest(folder: Path, tests: Sequence[str], *, bytecode: bool = False) -> Run:
    """Run ``tests`` in the copy at ``folder``.

    ``bytecode`` may be kept only without a fault.
    """
    report = folder / "build/junit.xml"
    report.unlink(missing_ok=True)
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    given |= {} if bytecode else {"PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [sys.executable, *PYTEST, *tests], cwd=folder, env=given, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    try:
        output, _none = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        return Run(None)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return read_report(process.returncode, report.read_text(encoding="utf-8") if report.exists() else "", output)


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


class Copies:
    """Copies of this checkout, each for one worker at a time."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folders = [folder / str(index) for index in range(number)]
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for path in self.folders:
            copy(path)
            self._free.put(path)

    @contextmanager
    def one(self) -> Iterator[Path]:
        folder = self._free.get()
        try:
            yield folder
        finally:
            self._free.put(folder)


def unchanged(copies: Copies, pool: ThreadPoolExecutor, mutants: Sequence[Mutant]) -> list[str]:
    """Run the named tests without faults; report those that fail.

    Each copy runs its share, and keeps bytecode for later.
    """
    tests = sorted({mutant.test for mutant in mutants})
    number = len(copies.folders)
    shares = [(folder, tests[index::number]) for index, folder in enumerate(copies.folders) if tests[index::number]]
    runs = pool.map(lambda share: pytest(share[0], share[1], bytecode=True), shares)
    return [f"without any fault the named tests do not pass:\n{run.output}" for run in runs if run.status != 0]


def trial(copies: Copies, mutant: Mutant) -> str:
    """Plant a fault in a free copy and return its `verdict`."""
    with copies.one() as folder, fault(folder, mutant):
        return verdict(mutant, pytest(folder, [mutant.test]))


def survey(mutants: Sequence[Mutant], folder: Path) -> tuple[int, int]:
    """Try all faults, a line each; return the numbers caught and not."""
    with ThreadPoolExecutor(WORKERS) as pool:
        copies = Copies(folder, min(WORKERS, len(mutants)))
        if problems := unchanged(copies, pool, mutants):
            print(*problems, sep="\n", flush=True)
            return 0, len(mutants)
        caught = 0
        for mutant, why in zip(mutants, pool.map(lambda mutant: trial(copies, mutant), mutants), strict=True):
            caught += not why
            print(why or f"caught: {mutant.name} by {mutant.test}", flush=True)
    return caught, len(mutants) - caught


def main(arguments: list[str] | None = None) -> int:
    """Try the listed faults; return 0 when every fault was caught."""
    parser = argparse.ArgumentParser(description="Plant faults; the test that is named for each must turn red.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only mutants with this in their names")
    options = parser.parse_args(arguments)
    try:
        mutants = chosen(parse(LIST.read_text(encoding="utf-8")), options.names)
    except BadListError as error:
        parser.error(str(error))
    if problems := check(mutants, ROOT):
        print(*problems, sep="\n")
        passed, failed = 0, len(problems)
    else:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            passed, failed = survey(mutants, Path(folder))
    print(f"mutants: {passed} passed, {failed} failed", flush=True)
    return int(failed > 0)


def _text(root: Path, file: str) -> str:
    """The file's text, empty when there is none."""
    path = root / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
