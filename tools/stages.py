# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run make targets as the stages of a test run: one log and one row each, and one line that sums them.

A stage's output goes to the terminal and to build/test/STAGE.log. Its counts are those of the last line of that log
with "N passed", "N failed" or "N skipped"; a stage without such a line counts as one check. A stage whose command
fails, or that skipped everything, never counts as passed.
The run's last line, also in build/test/total, is "N passed, N failed".
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

LOGS = Path("build/test")
COUNT = re.compile(r"\b(\d+) (passed|failed|errors?|skipped)\b")


@dataclass(frozen=True)
class Row:
    """What one stage did: numbers of checks, and wall-clock seconds (None when it was not run)."""

    stage: str
    passed: int
    failed: int
    skipped: int
    seconds: float | None


def count(log: str, status: int) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a stage, from the last line of its log that counts, and its exit status."""
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


def run(stage: str, command: list[str]) -> Row:
    """Run a stage, its output copied to the terminal and to its log."""
    print(f"--- {stage}: {' '.join(command)}", flush=True)
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
            sys.stdout.write(line)
            sys.stdout.flush()
    row = Row(stage, *count("".join(lines), process.returncode), seconds=time.monotonic() - started)
    print(f"--- {stage}: {'failed' if row.failed else 'ok'} after {row.seconds:.0f} s", flush=True)
    return row


def table(rows: list[Row]) -> str:
    """The rows as text, one a line."""
    lines = [f"{'stage':14} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for row in rows:
        seconds = "not run" if row.seconds is None else f"{row.seconds:.0f}"
        lines.append(f"{row.stage:14} {row.passed:7} {row.failed:7} {row.skipped:8} {seconds:>8}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run all stages, then the expensive ones as long as nothing has failed; one that is not run counts as failed."""
    parser = argparse.ArgumentParser(description="Run make targets as stages and sum up their checks.")
    parser.add_argument("stages", nargs="+", help="make targets, in order")
    parser.add_argument(
        "--then", nargs="+", default=[], metavar="STAGE", help="run these only if nothing failed before"
    )
    options = parser.parse_args(arguments)
    LOGS.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for stage in [*options.stages, *options.then]:
        if stage in options.then and any(row.failed for row in rows):
            rows.append(Row(stage, 0, 1, 0, None))
        else:
            rows.append(run(stage, ["make", stage]))
    total = f"{sum(row.passed for row in rows)} passed, {sum(row.failed for row in rows)} failed"
    (LOGS / "total").write_text(total + "\n", encoding="utf-8")
    print(table(rows), total, sep="\n", flush=True)
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
