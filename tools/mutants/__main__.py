# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plant faults in the engine; a named test must catch each.

The faults are listed in tests/mutants/mutants.yml and planted one at a time. Everything happens in copies of this
checkout below build/mutants/, one for each of two workers. There the named tests must pass as they are; then each is
run with its fault. What is caught is recorded in tests/mutants/EVIDENCE.json, with what decided it; faults with a valid
result there are not tried again. The stage of `make test` tries those without, and a tenth of the others.

Each fault has one line; the last line is "mutants: N passed, N failed".
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import evidence, inputs

from . import mutant as listed
from . import record
from .copies import listed as files
from .mutant import BadListError, Mutant
from .rests import Tree
from .survey import survey

PARTS = 10
"""Parts of the list, of which `make test` tries one always."""
NAMED = 20
"""Faults without a valid result that are named, for each reason."""


def stage(mutants: Sequence[Mutant], *, fresh: bool) -> int:
    """Try what has no valid result, and a part of the rest.

    The stage of `make test`: what the record proves for the same inputs counts, and is not tried. Nothing is recorded,
    as a stage leaves the checkout as it is.
    """
    old = _stale(mutants)
    valid = [record.load()[one.name] for one in mutants if one.name not in old]
    print(*evidence.lines("mutants", len(mutants), old, valid, NAMED), sep="\n", flush=True)
    again = part(mutants, listed.ROOT)
    todo = [one for one in mutants if fresh or one.name in old or one in again]
    caught, others = survey(todo, listed.ROOT, keep=False)
    if old:
        print(f"mutants: {len(old)} had no valid result: run `make test-mutants`, and commit {record.NAME}")
    rest = len(mutants) - len(todo)
    print(f"mutants: {rest} were not tried, their results are in {record.NAME} (`make test-mutants FRESH=1` tries all)")
    print(f"mutants: {rest + caught} passed, {others} failed", flush=True)
    return int(bool(others))


def part(mutants: Sequence[Mutant], root: Path) -> Sequence[Mutant]:
    """The faults whose turn it is: every tenth of the list.

    The checkout's contents decide from which one on, so the same checkout has the same, and another commit mostly
    others.
    """
    state = evidence.digest(f"{name} {one}" for name, one in inputs.digests(root).items())
    return mutants[int(state, 16) % PARTS :: PARTS]


def run(every: Sequence[Mutant], parts: Sequence[str], *, fresh: bool) -> int:
    """Try the faults without a valid result, or all, and record."""
    record.drop_unknown(every)
    wanted = listed.chosen(every, parts)
    old = _stale(wanted)
    todo = [one for one in wanted if fresh or one.name in old]
    caught, others = survey(todo, listed.ROOT, keep=True)
    if valid := len(wanted) - len(todo):
        print(f"mutants: {valid} were not tried, their results are in {record.NAME} (FRESH=1 tries them)")
    print(f"mutants: {valid + caught} passed, {others} failed", flush=True)
    return int(bool(others))


def _stale(mutants: Sequence[Mutant]) -> dict[str, str]:
    return record.stale(Tree(listed.ROOT, files(listed.ROOT)), mutants)


def main(arguments: list[str] | None = None) -> int:
    """Try the listed faults; return 0 when every fault was caught."""
    parser = argparse.ArgumentParser(description="Plant faults; the test that is named for each must turn red.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only mutants with this in their names")
    parser.add_argument("--fresh", action="store_true", help="also those with a valid result")
    parser.add_argument("--stage", action="store_true", help="also a tenth of the others; record nothing")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(1))
    try:
        mutants = listed.parse(listed.LIST.read_text(encoding="utf-8"))
        listed.chosen(mutants, options.names)
        if problems := listed.check(mutants, listed.ROOT):
            print(*problems, sep="\n")
            print(f"mutants: 0 passed, {len(problems)} failed", flush=True)
            return 1
        return (
            stage(mutants, fresh=options.fresh) if options.stage else run(mutants, options.names, fresh=options.fresh)
        )
    except (BadListError, evidence.BadRecordError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
