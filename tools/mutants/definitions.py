# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of a Python file of which no function is called.

What a file that is only imported does is to bind names, and to run its other statements. A function that is not called
is as good as none, so only its decorators and its name in a class count. What a name is bound to counts where it is
used by name. An assignment or a class that does more calls a function of the checkout: then all of the file counts
(observe.py). Names like `__all__` are used by Python itself, so they always count.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab.kernels.cases import defined, is_text
from tools import evidence

WORD = re.compile(r"[A-Za-z_]\w*")
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Definition:
    """The ``text`` that binds ``names``; no names: it always counts."""

    names: frozenset[str]
    text: str

    @functools.cached_property
    def words(self) -> frozenset[str]:
        return words(self.text)


def words(text: str) -> frozenset[str]:
    """All that may be names, in texts as well (getattr)."""
    return frozenset(WORD.findall(text))


def definitions(source: str) -> list[Definition]:
    """The definitions of a file, without functions that nothing is called of."""
    tree = ast.parse(source)
    lines = evidence.code_lines(source, tree)
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.body[0].lineno > node.lineno:
            for number in range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1):
                lines[number - 1] = ""
    return [
        Definition(frozenset(names(node)), text)
        for node in tree.body
        if not is_text(node) and not (isinstance(node, Function) and not node.decorator_list)
        if (text := _text(lines, node))
    ]


def names(node: ast.stmt) -> Iterator[str]:
    """Names that a statement binds; none if it does more."""
    if isinstance(node, ast.ClassDef) or (isinstance(node, (ast.Assign, ast.AnnAssign)) and _plain(node)):
        bound = list(defined(node))
        yield from [] if any(name.startswith("__") for name in bound) else bound
    elif isinstance(node, (ast.Import, ast.ImportFrom)) and not any(alias.name == "*" for alias in node.names):
        yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)


def _plain(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether names are assigned, not attributes or items of others."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets)


def _text(lines: list[str], node: ast.stmt) -> str:
    marks = node.decorator_list if isinstance(node, (ast.ClassDef, *Function)) else []
    first = min([node.lineno, *(mark.lineno for mark in marks)])
    return "\n".join(filter(None, lines[first - 1 : node.end_lineno]))
