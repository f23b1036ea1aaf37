# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests: all, or those that a change can turn.

A file of tests is run when it changed, when its imports lead to a file that changed, or when it finds files by another
way than import (tools/import_graph.py) and any file changed. Changed means since the newest run that passed, here or in
another checkout; of several the one that differs least. Without such a run: since the commit before the last one.

Those nearest to the change come first, and none starts after `MOST_SECONDS`: pytest counts what was left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools import inputs, proofs, stages
from tools.import_graph import Graph

NAME = "unit-tests"
"""Name of proofs: states that passed the inner loop's tests."""
FOLDER = "tests/unit/"
PYTEST = ("-m", "pytest", "-q", "-n", "2")
EVERY = ("-m", "not slow", "--durations=20", "--durations-min=3")
LIGHT = ("-m", "not slow and not heavy", "-rfEs")
"""Tests of the inner loop, which names what it leaves out."""
MOST_SECONDS = 45.0
"""Seconds from the first stage on in which its tests start.

The last tests end in the rest of the minute.
"""
UNTIL = "KVMFLEET_TESTS_UNTIL"
"""Environment variable: until when tests start."""
NOTHING_THERE = 5
"""What pytest ends with when it found no test."""


@dataclass(frozen=True)
class Change:
    """The ``files`` changed, added or removed, and since when."""

    files: set[str]
    since: str


@dataclass
class Selection:
    """The files of tests to run, by the reason for it."""

    reached: list[str] = field(default_factory=list)
    open_ended: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[str]:
        return [*self.reached, *self.open_ended]


def difference(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    """Names whose checksums differ, or that are in one only."""
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def change(files: Mapping[str, str], facts: str) -> Change:
    """The change since the run that passed and differs least.

    Only runs with the same ``facts`` count.
    """
    states = [state for state in proofs.all_of(NAME) if state["facts"] == facts]
    changes = [Change(difference(state["files"], files), f"the run of {proofs.day(state)} UTC") for state in states]
    return min(reversed(changes), key=lambda one: len(one.files), default=since_commit())


def since_commit(root: Path = inputs.ROOT) -> Change:
    """The change since the commit before the last, uncommitted edits included.

    Everything where there is no such commit.
    """
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD~1")
    if changed is None:
        return Change(set(inputs.digests(root)), "ever")
    return Change(changed | (_git(root, "ls-files", "--others", "--exclude-standard", "-z") or set()), "HEAD~1")


def _git(root: Path, *words: str) -> set[str] | None:
    """The names that git lists; None when it fails."""
    done = subprocess.run(["git", *words], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return None if done.returncode else set(filter(None, done.stdout.decode().split("\0")))


def select(graph: Graph, changed: set[str]) -> Selection:
    """The files of tests that a change of these files can turn."""
    found = Selection()
    far: dict[str, int] = {}
    for file in sorted(graph.files):
        if not (file.startswith(FOLDER) and Path(file).name.startswith("test_") and graph.is_there(file)):
            continue
        distance = graph.distance(file, changed)
        if distance is not None:
            far[file] = distance
        elif changed - {*inputs.RECORDS} and graph.open_ended(file):
            found.open_ended.append(file)
    found.reached = sorted(far, key=lambda file: (far[file], file))
    return found


def summary(found: Selection, every: int, what: Change) -> str:
    """A line of how many files of tests are run, and why."""
    names = sorted(what.files)
    few = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    why = f"{len(found.reached)} reach a changed file, {len(found.open_ended)} may read any"
    return f"unit tests: {len(found.files)} of {every} files ({why}); changed since {what.since}: {few or 'nothing'}"


def run(options: Iterable[str], until: float | None = None) -> int:
    """Run pytest with options; return its exit status.

    No test starts after ``until`` (time.monotonic()): such tests are skipped (tests/conftest.py).
    """
    setting = {} if until is None else {UNTIL: str(until)}
    command = [sys.executable, *PYTEST, *options]
    return subprocess.run(command, cwd=inputs.ROOT, stdin=subprocess.DEVNULL, env=os.environ | setting).returncode


def main(arguments: list[str] | None = None) -> int:
    """Run the unit tests; return pytest's exit status.

    The state that passed is kept as proof, unless something was edited meanwhile or time was over before all had run.
    """
    parser = argparse.ArgumentParser(description="Run unit tests.")
    parser.add_argument("--changed", action="store_true", help="only those that what was changed can turn")
    options = parser.parse_args(arguments)
    began = float(os.environ.get(stages.BEGAN, time.monotonic()))
    until = began + MOST_SECONDS if options.changed else None
    files = inputs.digests()
    facts = hashlib.sha256(json.dumps(inputs.facts(), sort_keys=True).encode()).hexdigest()
    chosen: tuple[str, ...] = EVERY
    if options.changed:
        what = change(files, facts)
        graph = Graph(inputs.ROOT, {*files, *what.files})
        found = select(graph, what.files)
        every = sum(Path(file).name.startswith("test_") and file.startswith(FOLDER) for file in files)
        print(summary(found, every, what), flush=True)
        if not found.files:
            print("unit tests: 1 passed: nothing that they rest on has changed")
            return 0
        chosen = (*LIGHT, *found.files)
    status = run(chosen, until)
    whole = until is None or time.monotonic() < until
    if whole and status in (0, NOTHING_THERE if options.changed else 0) and inputs.digests() == files:
        proofs.keep(
            NAME, hashlib.sha256(json.dumps([files, facts]).encode()).hexdigest()[:24], files=files, facts=facts
        )
    return 0 if status == NOTHING_THERE and options.changed else status


if __name__ == "__main__":
    sys.exit(main())
