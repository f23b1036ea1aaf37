# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files on which the result of a planted fault rests.

They are the fault's and the test's, the files that either imports itself, the conftest.py above, `ALWAYS`, and each
that the test was seen to use while it turned red (observe.py). What is not seen is left to the tenth that the stage
tries: statements of files that were only imported from farther away, and files that were looked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from tools import evidence, inputs
from tools.import_graph import Graph

from .mutant import Mutant

ALWAYS = ("pyproject.toml", "requirements/dev.txt", "tools/mutants/trial.py")
"""Pytest's settings, the packages, and what a verdict is."""
LENGTH = 8
"""Hex digits of a file's checksum."""


class Tree:
    """The files of a checkout, ``names`` below ``root``, read once."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self.root = root
        self.names = sorted(set(names) - set(inputs.RECORDS))
        self._graph = Graph(root, self.names)

    @cached_property
    def sums(self) -> dict[str, str]:
        """Checksums of all files, by name; the name counts too."""
        return {name: evidence.digest([name, self._text(name)])[:LENGTH] for name in self.names}

    def own(self, mutant: Mutant) -> set[str]:
        """Checksums of what always counts for a fault."""
        test = mutant.test.partition("::")[0]
        near = {mutant.file, test, *ALWAYS, *self._graph.direct(mutant.file), *self._graph.direct(test)}
        return self.of(near)

    def of(self, names: Iterable[str]) -> set[str]:
        """Checksums of those of the files that are the checkout's."""
        return {self.sums[name] for name in names if name in self.sums}

    def _text(self, name: str) -> str:
        """A file's contents; of Python without comments and docstrings."""
        if name in self._graph.files:
            try:
                return evidence.code(self._graph.text(name))
            except SyntaxError:  # somebody is at work on it
                return self._graph.text(name)
        return inputs.digest(self.root / name)
