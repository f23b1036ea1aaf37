# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs nobody meant: valid ones with hostile parts."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

DEEP: Any = []
for _level in range(200):
    DEEP = [DEEP]
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**400, 65536, "", " ", "none", "all", "max",
    "\x1b[2J", "\0", "\udc80", "../../etc/passwd", "-r", "{{ 7 * 7 }}", "9" * 5000, "x" * 5000, "0-65534,0-65534",
    "5-1", "+id", "02:00:00:00:00:01+id", 41135085296, "41135085296", [], {}, [[]], [None], {"": None}, {"6": None},
    {"at_most": {}}, DEEP,
)  # fmt: skip
"""Values that have broken readers, here or elsewhere."""
KEYS = ("", "pf", "ids", "6", "vfs", "\x1b[2J", "not", "mac", "x" * 300, 6, None, True)


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[Any, ...], hostile: tuple[Any, ...] = HOSTILE) -> Any:  # noqa: ANN401 - any value of JSON
    """One of ``seeds`` with up to four of its parts replaced."""
    value = copy.deepcopy(draw(st.sampled_from(seeds)))
    for _change in range(draw(st.integers(0, 4))):
        value = _changed(draw, value, hostile)
    return value


def _changed(draw: st.DrawFn, value: Any, hostile: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any value of JSON
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value, key=str)))
        if draw(st.integers(0, 6)):
            return {**value, key: _changed(draw, value[key], hostile)}
        return {**{name: one for name, one in value.items() if name != key}, draw(st.sampled_from(KEYS)): value[key]}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _changed(draw, value[place], hostile), *value[place + 1 :]]
    return draw(st.sampled_from(hostile))


@st.composite
def texts(draw: st.DrawFn, seeds: tuple[str, ...], hostile: tuple[Any, ...] = HOSTILE) -> str:
    """One of ``seeds`` with pieces cut out, doubled or put in."""
    text = draw(st.sampled_from(seeds))
    for _change in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 20))
        piece = draw(
            st.sampled_from(("", text[at : at + length] * 2, *(one for one in hostile if isinstance(one, str))))
        )
        text = text[:at] + piece + text[at + length :]
    return text
