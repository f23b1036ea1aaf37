# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Definitions of files of which no function is called."""

from __future__ import annotations

import pytest

from tools.mutants.definitions import definitions

# statement, the names under which it counts (empty: always); None: never
STATEMENTS: list[tuple[str, set[str] | None]] = [
    ("A = 1", {"A"}),
    ("A: int = 1", {"A"}),
    ("A, B = 1, 2", {"A", "B"}),
    ("import a.b", {"a"}),
    ("from a import b as c", {"c"}),
    ("from a import *", set()),
    ("class A:\n    B = 1", {"A"}),
    ("def a():\n    return 1", None),
    ("async def a():\n    return 1", None),
    ("@b\ndef a():\n    return 1", set()),
    ('"""A docstring."""', None),
    ("print(1)", set()),
    ("A.b = 1", set()),
    ("A[0] = 1", set()),
    ("A += 1", set()),
    ("__all__ = ['A']", set()),
    ("if A:\n    B = 1", set()),
    ("for a in b:\n    c = 1", set()),
]


@pytest.mark.parametrize(("statement", "names"), STATEMENTS)
def test_under_which_names_a_statement_counts(statement: str, names: set[str] | None) -> None:
    found = [set(one.names) for one in definitions(f"{statement}\n")]
    assert found == ([] if names is None else [names])


def test_bodies_of_functions_do_not_count_and_their_names_in_a_class_do() -> None:
    (one,) = definitions(
        'class A:\n    """Text."""\n\n    B = 1\n\n    @mark\n    def c(self, d=2):\n        return 3\n'
    )
    assert one.text == "class A:\n    B = 1\n    @mark\n    def c(self, d=2):"
    assert {"A", "B", "c", "mark"} <= one.words
