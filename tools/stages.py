# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run make targets as the stages of a test run.

Each has a log and a row, and one line sums them. A stage's output goes to the terminal and to build/test/STAGE.log. Its
counts are those of the last line of that log with "N passed", "N failed" or "N skipped"; a stage without such a line
counts as one check. A stage whose command fails, or that skipped everything, never counts as passed. The run's last
line, also in build/test/total, is "N passed, N failed".

A stage that passed before on identical inputs (tools/inputs.py says what these are) is not run again: it counts with
the numbers of that time, and says when it was. KVMFLEET_FRESH=1 runs all. Stages with a `+` between them run side by
side, their lines marked by their names.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools import inputs, proofs

LOGS = Path("build/test")
BEGAN = "KVMFLEET_BEGAN"
"""Environment variable: when the first stage began (time.monotonic())."""
COUNT = re.compile(r"\b(\d+) (passed|failed|errors?|skipped)\b")
FAILURE = re.compile(r"(FAIL|FAILED|ERROR|SURVIVED:|no verdict:|fatal:|lab:)\s")
"""Beginnings of lines in which stages name what failed."""
NAMED = 5
"""Lines of a failed stage that are shown at the end."""


@dataclass(frozen=True)
class Row:
    """The result of a stage: numbers of checks, and wall-clock seconds.

    Seconds are None when it was not run.
    """

    stage: str
    passed: int
    failed: int
    skipped: int
    seconds: float | None
    note: str = ""


def count(log: str, status: int) -> tuple[int, int, int]:
    """Count a stage's checks: (passed, failed, skipped).

    They are from the last line of its log that counts, and its exit status.
    """
    numbers = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for line in reversed(log.splitlines()):
        found = [(kind.removesuffix("s"), int(number)) for number, kind in COUNT.findall(line)]
        numbers.update(found)
        if found:
            break
    passed, failed, skipped = numbers["passed"], numbers["failed"] + numbers["error"], numbers["skipped"]
    if status or (skipped and not passed):
        failed = max(failed, 1)
    return passed if passed or failed else 1, failed, skipped


def stage(name: str, *, mark: str = "") -> Row:
    """Run a stage, or take its proof from identical inputs.

    Its result is kept as proof if nothing was edited meanwhile.
    """
    before = identity(name)
    known = proofs.find(name, before) if before else None
    if known:
        note = f"identical inputs, proven on {proofs.day(known)}"
        say(f"--- {name}: {note} UTC (KVMFLEET_FRESH=1 runs it)")
        return Row(name, known["passed"], 0, known["skipped"], 0.0, note)
    row = run(name, ["make", name], mark=mark)
    if before and not row.failed and identity(name) == before:
        proofs.keep(name, before, passed=row.passed, skipped=row.skipped)
    return row


def identity(name: str) -> str:
    """The key of a stage's inputs; empty when it must run.

    It must where they are not listed, or this is no checkout of git.
    """
    if name not in inputs.STAGES:
        return ""
    try:
        return inputs.key(name, inputs.digests(), inputs.facts())
    except (OSError, subprocess.CalledProcessError):
        return ""


def run(stage: str, command: list[str], *, mark: str = "") -> Row:
    """Run a stage; copy its output to its log and the terminal.

    ``mark`` stands before each line on the terminal.
    """
    say(f"--- {stage}: {' '.join(command)}")
    started = time.monotonic()
    lines = []
    with (
        (LOGS / f"{stage}.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout or ():
            lines.append(line)
            log.write(line)
            log.flush()
            say(f"{mark}{line}".rstrip("\n"))
    row = Row(stage, *count("".join(lines), process.returncode), seconds=time.monotonic() - started)
    say(f"--- {stage}: {'failed' if row.failed else 'ok'} after {row.seconds:.0f} s")
    return row


def say(line: str) -> None:
    """Print a line in one piece: stages run side by side."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def group(names: list[str]) -> list[Row]:
    """Run stages side by side."""
    if len(names) == 1:
        return [stage(names[0])]
    print(f"--- {', '.join(names)}: side by side", flush=True)
    width = max(map(len, names))
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: stage(name, mark=f"{name:>{width}} | "), names))


def table(rows: list[Row]) -> str:
    """The rows as text, one a line."""
    lines = [f"{'stage':14} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for row in rows:
        seconds = "not run" if row.seconds is None else f"{row.seconds:.0f}"
        line = f"{row.stage:14} {row.passed:7} {row.failed:7} {row.skipped:8} {seconds:>8}  {row.note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def failures(row: Row, log: str) -> list[str]:
    """What failed in a stage, for the end of the run.

    The lines of its log that name it, else the log's last ones.
    """
    lines = [line.strip()[:200] for line in log.splitlines() if line.strip()]
    found = [line for line in lines if FAILURE.match(line)]
    shown = found[:NAMED] or lines[-NAMED:]
    more = len(found) - len(shown)
    return [f"{row.stage}: {line}" for line in [*shown, *([f"and {more} more"] if more > 0 else [])]]


def all_failures(rows: list[Row]) -> list[str]:
    """The same of all stages that were run, with their logs."""
    found = []
    for row in rows:
        if row.failed and row.seconds is not None:
            log = LOGS / f"{row.stage}.log"
            found += [*failures(row, log.read_text(encoding="utf-8")), f"{row.stage}: all of it: {log}"]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run all stages, and the expensive ones after a success.

    One that is not run because something failed before counts as failed.
    """
    parser = argparse.ArgumentParser(description="Run make targets as stages and sum up their checks.")
    parser.add_argument("stages", nargs="+", help="make targets, in order; A+B: side by side")
    parser.add_argument(
        "--then", nargs="+", default=[], metavar="STAGE", help="run these only if nothing failed before"
    )
    options = parser.parse_args(arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(BEGAN, str(time.monotonic()))
    rows: list[Row] = []
    for names in [*options.stages, *options.then]:
        if names in options.then and any(row.failed for row in rows):
            rows += [Row(name, 0, 1, 0, None) for name in names.split("+")]
        else:
            rows += group(names.split("+"))
    total = f"{sum(row.passed for row in rows)} passed, {sum(row.failed for row in rows)} failed"
    (LOGS / "total").write_text(total + "\n", encoding="utf-8")
    print(table(rows), *all_failures(rows), total, sep="\n", flush=True)
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
