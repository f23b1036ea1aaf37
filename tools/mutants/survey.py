# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A survey of planted faults: each is tried, a line each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import record
from .copies import Copies, fault
from .mutant import Mutant
from .observe import UNSEEN
from .trial import pytest, verdict

WORKERS = 2
BATCH = 40
"""Faults at a time, so that an interruption loses little."""
LATE = "it did not end in time (DEADLINE_S in tools/mutants/trial.py)"


def survey(mutants: Sequence[Mutant], root: Path, *, keep: bool) -> tuple[int, int]:
    """Try faults in copies of ``root``; return the numbers caught and not.

    With ``keep`` each result is recorded at once, so an interruption loses none.
    """
    if not mutants:
        return 0, 0
    scratch = root / "build/mutants"
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, ThreadPoolExecutor(WORKERS) as pool:
        copies = Copies(root, Path(folder), min(WORKERS, len(mutants)))
        try:
            shares = [mutants[first : first + BATCH] for first in range(0, len(mutants), BATCH)]
            caught = sum(batch(copies, pool, share, keep=keep) for share in shares)
        finally:
            pool.shutdown(cancel_futures=True)
    return caught, len(mutants) - caught


def batch(copies: Copies, pool: ThreadPoolExecutor, mutants: Sequence[Mutant], *, keep: bool) -> int:
    """Try faults whose tests pass without them; number of those caught.

    What is recorded is observed. A test that passes only if it is not observed is run so, and its faults are not
    recorded.
    """
    bad = failing(copies, pool, {mutant.test for mutant in mutants}, observed=keep)
    worse = failing(copies, pool, bad, observed=False) if keep else bad
    results = {
        mutant: pool.submit(trial, copies, mutant, keep=keep, observed=keep and mutant.test not in bad)
        for mutant in mutants
        if mutant.test not in worse
    }
    for mutant in mutants:
        if mutant.test in worse:
            print(f"no verdict: {mutant.name}: {mutant.test} fails without it:\n{worse[mutant.test]}", flush=True)
        else:
            print(results[mutant].result()[1], flush=True)
    return sum(result.result()[0] for result in results.values())


def failing(copies: Copies, pool: ThreadPoolExecutor, tests: Iterable[str], *, observed: bool) -> dict[str, str]:
    """Tests that fail without any fault, with what pytest says.

    Each copy runs its share, and keeps bytecode for later. Only if that fails is each test run alone.
    """

    def red(folder: Path, some: Sequence[str]) -> dict[str, str]:
        run = pytest(folder, some, bytecode=True, observed=observed)
        if run.status == 0:
            return {}
        if len(some) == 1:
            return {some[0]: run.output or LATE}
        return {test: why for one in some for test, why in red(folder, [one]).items()}

    every, number = sorted(tests), len(copies.folders)
    shares = [(folder, every[index::number]) for index, folder in enumerate(copies.folders) if every[index::number]]
    return {test: why for found in pool.map(lambda share: red(*share), shares) for test, why in found.items()}


def trial(copies: Copies, mutant: Mutant, *, keep: bool, observed: bool) -> tuple[bool, str]:
    """Plant a fault in a free copy.

    Returns whether it was caught, and a line about it.
    """
    with copies.one() as folder, fault(folder, mutant):
        run = pytest(folder, [mutant.test], observed=observed)
    line = why = verdict(mutant, run)
    if not why:
        line = f"caught: {mutant.name} by {mutant.test}"
    if keep:
        notes = run.seen if observed else frozenset({f"{UNSEEN}fails when it is observed"})
        record.keep(copies.tree, mutant, None if why else notes)
        if not why and (unseen := record.unseen(notes)):
            line += f"; not recorded, as the test {unseen}"
    return not why, line
