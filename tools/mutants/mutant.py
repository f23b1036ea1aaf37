# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A planted fault, and the list of them in tests/mutants/mutants.yml."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests/mutants/mutants.yml"


class BadListError(Exception):
    """The error of a list of faults that does not fit.

    It does not fit the code, or is not whole.
    """


@dataclass(frozen=True)
class Mutant:
    """A fault: ``old`` becomes ``new`` in ``file``; ``test`` must turn red.

    ``old`` is there exactly once, and ``test`` is a node id of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    test: str


def parse(text: str) -> list[Mutant]:
    """The faults in the text of the list.

    Raises `BadListError` for one that is not whole or whose name is taken.
    """
    keys = [field.name for field in fields(Mutant)]
    rows: Any = yaml.safe_load(text)
    if not isinstance(rows, list):
        raise BadListError("the list of faults is not a list")
    mutants: dict[str, Mutant] = {}
    for number, row in enumerate(rows, 1):
        whole = isinstance(row, dict) and set(row) == set(keys) and all(isinstance(item, str) for item in row.values())
        if not whole:
            raise BadListError(f"fault {number}: it must be a mapping of texts with the keys {', '.join(keys)}")
        if row["name"] in mutants:
            raise BadListError(f"fault {number}: there is another '{row['name']}'; each needs a name of its own")
        mutants[row["name"]] = Mutant(**row)
    return list(mutants.values())


def planted(mutant: Mutant, text: str) -> str:
    """The file's ``text`` with the fault planted.

    Raises `BadListError` when it does not go in exactly one place.
    """
    where = f"mutant '{mutant.name}': {mutant.file}"
    if (times := text.count(mutant.old)) != 1:
        raise BadListError(
            f"{where} has its old text {times} times instead of once; let {LIST.relative_to(ROOT)} say what the code "
            "looks like now"
        )
    if mutant.new == mutant.old:
        raise BadListError(f"{where}: old and new are the same text, so nothing would be broken")
    changed = text.replace(mutant.old, mutant.new)
    try:
        ast.parse(changed)
    except SyntaxError as error:
        raise BadListError(f"{where} is no Python with its new text: {error}; plant a fault that runs") from error
    return changed


def check(mutants: Sequence[Mutant], root: Path) -> list[str]:
    """Reasons why faults cannot be planted, or their tests be found.

    ``root`` is the checkout.
    """
    problems = []
    for mutant in mutants:
        try:
            planted(mutant, _text(root, mutant.file))
        except BadListError as error:
            problems.append(str(error))
        file, _colons, function = mutant.test.partition("::")
        if not re.search(rf"^def {re.escape(function.partition('[')[0])}\(", _text(root, file), re.MULTILINE):
            problems.append(f"mutant '{mutant.name}': there is no test {mutant.test}; name the one that shall turn red")
    return problems


def chosen(mutants: Sequence[Mutant], parts: Sequence[str]) -> list[Mutant]:
    """The faults whose names hold one of ``parts``; all without parts.

    Raises `BadListError` for a part of no name.
    """
    for part in parts:
        if not any(part in mutant.name for mutant in mutants):
            raise BadListError(f"no mutant's name has '{part}' in it; names: {'; '.join(m.name for m in mutants)}")
    return [mutant for mutant in mutants if not parts or any(part in mutant.name for part in parts)]


def _text(root: Path, file: str) -> str:
    """The file's text, empty when there is none."""
    path = root / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""
