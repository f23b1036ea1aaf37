# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the result of a planted fault rests on in the checkout.

The run with the fault decides, and what it used was seen (observe.py): of a Python file with a function that was
called, the whole code; of files that were read and folders that were listed, all contents; of what else was imported,
or is by the test's file, directly or not (tools/import_graph.py), the definitions that are reached by name
(definitions.py).
The fault's and the test's own file, the conftest.py above it and pytest's settings always count. A test that starts a
program rests on all files of the checkout but those of `ASIDE`.

Comments and docstrings of Python files are left out, unless a test reads the file. Whether the test passes without the
fault is no part of it: the stage unit runs it each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tools import evidence, inputs
from tools.import_graph import CONFTEST, Graph

from .definitions import Definition, definitions, words
from .mutant import Mutant
from .seen import ANY, letters, unpacked

SETTINGS = "pyproject.toml"
ASIDE = (*inputs.TEXTS, "tests/unit/*.py", "tests/mutants/*")
"""What no program of a test runs, unless the test imports it."""
REFLECTION = re.compile(r"\b(vars|dir|globals|getmembers|import_module)\(|__subclasses__|__dict__")
"""By what a test reaches definitions without their names."""
RAN, IMPORTED, READ = "ran", "imported", "read"


class Tree:
    """The files of a checkout, ``names`` below ``root``, read once."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self.root = root
        self.names = sorted(set(names) - set(inputs.RECORDS))
        self._graph = Graph(root, self.names)
        self._noted: dict[str, list[tuple[str, str]]] = {}
        self._sums: dict[tuple[str, str], str] = {}
        self._words: dict[str, frozenset[str]] = {}
        self._definitions: dict[str, list[Definition]] = {}
        for name in self.names:
            notes = [(RAN, RAN, name), (IMPORTED, IMPORTED, name), (READ, READ, name)]
            for kind, note, what in (*notes, *((READ, "in", str(folder)) for folder in Path(name).parents)):
                self._noted.setdefault(letters(f"{note} {what}"), []).append((kind, name))

    def checksum(self, mutant: Mutant, seen: str) -> str:
        """Checksum of all that the fault's result rests on."""
        used = self.used(mutant, seen)
        ran = {name for kind, name in used if kind == RAN and name.endswith(".py")}
        whole = sorted((kind, name) for kind, name in used if kind != IMPORTED)
        rest = sorted({name for kind, name in used if kind == IMPORTED} - ran)
        return evidence.digest(
            [*(f"{kind} {name} {self._sum(kind, name)}" for kind, name in whole), *sorted(self._reached(rest, ran))]
        )

    def used(self, mutant: Mutant, seen: str) -> set[tuple[str, str]]:
        """What was used: `ran` and `imported` Python files, and those `read`."""
        notes, test = unpacked(seen), mutant.test.partition("::")[0]
        imports = self._graph.closure(test)
        found = {one for note in notes for one in self._noted.get(note, [])} | {(IMPORTED, name) for name in imports}
        above = {str(folder / CONFTEST) for folder in Path(test).parents}
        found |= {(RAN, name) for name in self.names if name in above | {mutant.file, test, SETTINGS}}
        if letters(ANY) in notes:
            found |= {(RAN, name) for name in self.names if name in imports or not inputs.matches(name, ASIDE)}
        return found

    def _reached(self, rest: list[str], ran: set[str]) -> set[str]:
        """Texts of definitions that the code that ran reaches by name."""
        waiting = [(name, one) for name in rest for one in self._defined(name)]
        if any(name.startswith("tests/") and REFLECTION.search(self._graph.text(name)) for name in ran):
            return {f"{name} {one.text}" for name, one in waiting}
        known: set[str] = set().union(*(self._used_words(name) for name in ran))
        found: set[str] = set()
        while True:
            now = [(name, one) for name, one in waiting if not (one.names and known.isdisjoint(one.names))]
            if not now:
                return found
            waiting = [(name, one) for name, one in waiting if one.names and known.isdisjoint(one.names)]
            found |= {f"{name} {one.text}" for name, one in now}
            known.update(*(one.words for _name, one in now))

    def _defined(self, name: str) -> list[Definition]:
        if name not in self._definitions:
            self._definitions[name] = definitions(self._graph.text(name))
        return self._definitions[name]

    def _used_words(self, name: str) -> frozenset[str]:
        if name not in self._words:
            self._words[name] = words(evidence.code(self._graph.text(name)))
        return self._words[name]

    def _sum(self, kind: str, name: str) -> str:
        if (kind, name) not in self._sums:
            code = kind == RAN and name.endswith(".py")
            text = evidence.code(self._graph.text(name)) if code else inputs.digest(self.root / name)
            self._sums[kind, name] = evidence.digest([text])
        return self._sums[kind, name]
