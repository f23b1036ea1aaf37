# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A survey of planted faults: each is tried, a line each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import record
from .copies import Copies, fault
from .mutant import Mutant
from .trial import pytest, verdict

WORKERS = 2
BATCH = 40
"""Faults at a time, so that an interruption loses little."""
LATE = "they did not end in time (DEADLINE_S in tools/mutants/trial.py)"


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
    """Try faults whose tests pass without them; number of those caught."""
    if problems := unchanged(copies, pool, mutants, observed=keep):
        print(*problems, sep="\n", flush=True)
        return 0
    caught = 0
    results = {mutant: pool.submit(trial, copies, mutant, keep=keep) for mutant in mutants}
    for mutant, result in results.items():
        caught += not (why := result.result())
        print(why or f"caught: {mutant.name} by {mutant.test}", flush=True)
    return caught


def unchanged(copies: Copies, pool: ThreadPoolExecutor, mutants: Sequence[Mutant], *, observed: bool) -> list[str]:
    """Run the named tests without faults; report those that fail.

    Each copy runs its share, and keeps bytecode for later. They are observed if the faults will be: that must turn none
    red.
    """
    tests = sorted({mutant.test for mutant in mutants})
    number = len(copies.folders)
    shares = [(folder, tests[index::number]) for index, folder in enumerate(copies.folders) if tests[index::number]]
    runs = pool.map(lambda share: pytest(share[0], share[1], bytecode=True, observed=observed), shares)
    return [f"without any fault the named tests do not pass:\n{run.output or LATE}" for run in runs if run.status != 0]


def trial(copies: Copies, mutant: Mutant, *, keep: bool) -> str:
    """Plant a fault in a free copy and return its `verdict`."""
    with copies.one() as folder, fault(folder, mutant):
        run = pytest(folder, [mutant.test], observed=keep)
    why = verdict(mutant, run)
    if keep:
        record.keep(copies.tree, mutant, run.seen if run.seen.notes and not why else None)
    return why
