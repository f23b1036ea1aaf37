# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planted faults that were caught, kept in tests/mutants/EVIDENCE.json: a line for each.

One is valid as long as the fault, the Python and all the files that its result rests on (rests.py) are the same. Of a
test that does what cannot be seen nothing is recorded, so its faults are tried each time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools import evidence

from .mutant import ROOT, Mutant
from .observe import UNSEEN
from .rests import Tree

NAME = "tests/mutants/EVIDENCE.json"
FILE: Path = ROOT / NAME
DEPTH = 1
"""Names above an entry: its own."""


def load() -> dict[str, dict[str, Any]]:
    """The entries by the names of faults."""
    return evidence.load(FILE)


def stale(tree: Tree, mutants: Iterable[Mutant]) -> dict[str, str]:
    """Faults without a valid result, each with the reason."""
    known = load()
    there = frozenset(tree.sums.values())
    found = {one.name: _why(tree, there, one, known.get(one.name)) for one in mutants}
    return {name: why for name, why in found.items() if why}


def _why(tree: Tree, there: frozenset[str], mutant: Mutant, entry: object) -> str:
    if not isinstance(entry, dict):
        return evidence.NEVER
    files = set(str(entry.get("files")).split())
    return evidence.why(entry, _facts(mutant)) or ("" if tree.own(mutant) <= files <= there else "changed since: files")


def _facts(mutant: Mutant) -> dict[str, str]:
    """What an entry says beside its files and its day."""
    return {
        "fault": evidence.digest([mutant.file, mutant.old, mutant.new, mutant.test]),
        "python": ".".join(map(str, sys.version_info[:2])),
    }


def unseen(notes: frozenset[str]) -> str:
    """What the observed test does that cannot be seen; empty for nothing."""
    found = sorted(line.removeprefix(UNSEEN) for line in notes if line.startswith(UNSEEN))
    return ", ".join(found) if notes else "was not seen"


def keep(tree: Tree, mutant: Mutant, notes: frozenset[str] | None) -> None:
    """Record a fault that was caught, with what its test used.

    None: it was not caught; then, and where not all was seen, an earlier result is forgotten. The tree is that of the
    trial: somebody may edit during it. An entry with the same result keeps its day.
    """
    with evidence.changed(FILE, DEPTH) as known:
        entry = known.pop(mutant.name, None)
        if notes is not None and not unseen(notes):
            now = {**_facts(mutant), "files": " ".join(sorted(tree.own(mutant) | tree.of(notes)))}
            same = isinstance(entry, dict) and {**entry, "day": ""} == {**now, "day": ""}
            known[mutant.name] = entry if same else {**now, "day": evidence.today()}


def drop_unknown(mutants: Iterable[Mutant]) -> None:
    """Remove results of faults that are not in the list any more."""
    there = {one.name for one in mutants}
    with evidence.changed(FILE, DEPTH) as known:
        for name in known.keys() - there:
            del known[name]
