# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planted faults and their list, which must fit this checkout."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from tools.mutants import mutant as mutants
from tools.mutants.mutant import BadListError, Mutant

from .project import ADDS, CODE, UP


def test_the_list_fits_the_code() -> None:
    """The list fits the code, checked in seconds.

    Whether the tests notice the faults is for `make test-mutants`.
    """
    found = mutants.parse(mutants.LIST.read_text())
    assert mutants.check(found, mutants.ROOT) == []
    assert len(found) >= 15


def test_parse() -> None:
    assert mutants.parse(yaml.safe_dump([asdict(ADDS), asdict(UP)])) == [ADDS, UP]


# list, words of the message
BAD: list[tuple[object, str]] = [
    ({"name": "x"}, "is not a list"),
    (["x"], "fault 1: it must be a mapping of texts with the keys name, file, old, new, test"),
    ([{**asdict(ADDS), "why": "x"}], "fault 1: it must be"),
    ([asdict(ADDS), {**asdict(UP), "new": 2}], "fault 2: it must be"),
    ([asdict(ADDS), {**asdict(UP), "name": "it adds"}], "fault 2: there is another 'it adds'"),
]


@pytest.mark.parametrize(("rows", "words"), BAD)
def test_parse_refuses(rows: object, words: str) -> None:
    with pytest.raises(BadListError) as caught:
        mutants.parse(yaml.safe_dump(rows))
    assert words in str(caught.value)


def test_planted() -> None:
    assert mutants.planted(ADDS, CODE) == CODE.replace("2 * n", "2 + n")


# fault, words of the message
MISFITS = [
    (
        replace(ADDS, old="3 * n"),
        "mutant 'it adds': code_.py has its old text 0 times instead of once; let tests/mutants",
    ),
    (replace(ADDS, old="return"), "has its old text 2 times"),
    (replace(ADDS, old="2 * n", new="2 * n"), "old and new are the same text"),
    (replace(ADDS, new="2 *"), "is no Python with its new text"),
]


@pytest.mark.parametrize(("mutant", "words"), MISFITS)
def test_planted_refuses(mutant: Mutant, words: str) -> None:
    with pytest.raises(BadListError) as caught:
        mutants.planted(mutant, CODE)
    assert words in str(caught.value)


def test_check_reports_everything_at_once(project: Path) -> None:
    wrong = replace(ADDS, old="3 * n", test="test_code.py::test_doubles")
    first, second, third = mutants.check([UP, wrong, replace(UP, file="none.py")], project)
    assert "has its old text 0 times" in first
    assert second == "mutant 'it adds': there is no test test_code.py::test_doubles; name the one that shall turn red"
    assert "none.py has its old text 0 times" in third
    assert mutants.check([replace(ADDS, test="test_code.py::test_double[a-b]")], project) == []


def test_chosen() -> None:
    assert mutants.chosen([ADDS, UP], []) == [ADDS, UP]
    assert mutants.chosen([ADDS, UP], ["rounds"]) == [UP]
    with pytest.raises(BadListError, match="no mutant's name has 'x' in it; names: it adds; it rounds up"):
        mutants.chosen([ADDS, UP], ["adds", "x"])
