# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Short first lines of docstrings, and the glossary's terms, in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("plugins", "lab", "tools", "bench", "tests")
LONGEST = 12
"""Words of a docstring's first line (CONTRIBUTING.md, "Style")."""
PRIVATE = re.compile(
    r"\b(wish(es|ed)?|glances?|doors?|through 0|lets? go of|signs of life|owed|owes|nobody else|told)\b", re.IGNORECASE
)
"""What the glossary has better words for."""
MARK = re.compile(r"#\s*(?:type:\s*ignore\b|noqa\b)|pytest\.mark\.(?:skip|skipif|xfail)\b|pytest\.skip\(")
REASONED = re.compile(r"# type: ignore\[[\w,-]+\]  # \S|# noqa: [A-Z0-9, ]+ - \S|\breason=|pytest\.skip\(\s*f?[\"'\w]")
"""Marks that keep a check from judging a line, and such with a reason."""


def files(folder: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__))


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of each string that is a statement."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        for part in body if isinstance(body, list) else ():
            if (
                isinstance(part, ast.Expr)
                and isinstance(part.value, ast.Constant)
                and isinstance(part.value.value, str)
            ):
                yield part.lineno, part.value.value.strip()


def too_long(text: str) -> bool:
    """Whether the first line is too long, or no whole sentence."""
    first, _newline, rest = text.partition("\n")
    return len(first.split()) > LONGEST or bool(rest.split("\n")[0].strip())


@pytest.mark.parametrize("folder", FOLDERS)
def test_first_lines_of_docstrings_are_short(folder: str) -> None:
    found = [(path, line, text) for path in files(folder) for line, text in docstrings(path)]
    assert len(found) > 10
    assert [f"{path}:{line}: {text.split(chr(10))[0]}" for path, line, text in found if too_long(text)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_not_checked_has_a_reason_beside_it(folder: str) -> None:
    found = []
    for path in files(folder):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            mark = MARK.search(line)
            text = line if mark is None or mark[0].startswith("#") else " ".join(lines[number : number + 3])
            if mark and not REASONED.search(text):
                found.append(f"{path}:{number + 1}: {line.strip()}")
    assert found == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_words_of_the_field(folder: str) -> None:
    texts = {path: PRIVATE.findall(path.read_text(encoding="utf-8")) for path in files(folder)}
    texts.pop(ROOT / "tests/unit/docs/test_names.py", None)
    assert {str(path): words for path, words in texts.items() if words} == {}
