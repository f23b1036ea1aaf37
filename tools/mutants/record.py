# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planted faults that were caught, kept in tests/mutants/EVIDENCE.json: a line for each.

One is valid as long as the fault is the same, and what its result rests on: of the checkout (rests.py), and of the
machine (machine.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools import evidence

from . import machine
from .mutant import ROOT, Mutant
from .rests import Tree
from .seen import Seen

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
    found = {one.name: _why(tree, one, known.get(one.name)) for one in mutants}
    return {name: why for name, why in found.items() if why}


def _why(tree: Tree, mutant: Mutant, entry: object) -> str:
    if not isinstance(entry, dict):
        return evidence.NEVER
    seen = Seen(str(entry.get("seen", "")), str(entry.get("programs", "")))
    return evidence.why(entry, _now(tree, mutant, seen))


def _now(tree: Tree, mutant: Mutant, seen: Seen) -> dict[str, str]:
    """An entry without its day."""
    return {
        "fault": evidence.digest([mutant.file, mutant.old, mutant.new, mutant.test]),
        "code": tree.checksum(mutant, seen.notes),
        "machine": machine.checksum(seen.programs.split()),
        "seen": seen.notes,
        **({"programs": seen.programs} if seen.programs else {}),
    }


def keep(tree: Tree, mutant: Mutant, seen: Seen | None) -> None:
    """Record a fault that was caught by a test that used ``seen``.

    None: it was not caught, and an earlier result is forgotten. The tree is that of the trial: somebody may edit during
    it. An entry with the same result keeps its day.
    """
    now = None if seen is None else _now(tree, mutant, seen)
    with evidence.changed(FILE, DEPTH) as known:
        entry = known.pop(mutant.name, None)
        if now is not None:
            same = isinstance(entry, dict) and {**entry, "day": ""} == {**now, "day": ""}
            known[mutant.name] = entry if same else {**now, "day": evidence.today()}


def drop_unknown(mutants: Iterable[Mutant]) -> None:
    """Remove results of faults that are not in the list any more."""
    there = {one.name for one in mutants}
    with evidence.changed(FILE, DEPTH) as known:
        for name in known.keys() - there:
            del known[name]
