# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's `test`, with answers that are not known.

Source: grub-core/commands/test.c of GRUB 2.06.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable, Optional

from .grub_state import Text

Answer = Optional[bool]
"""None: only the boot shows it."""

NUMBERS = {
    "-eq": lambda one, other: one == other, "-ne": lambda one, other: one != other,
    "-lt": lambda one, other: one < other, "-le": lambda one, other: one <= other,
    "-gt": lambda one, other: one > other, "-ge": lambda one, other: one >= other,
}  # fmt: skip
FILES = ("-e", "-f", "-d", "-s")
OTHERWISE = re.compile(r"\[[:.=]|\\[A-Za-z0-9<>`']|[*+?}][*+?{]|\(\?")
"""What a regular expression of POSIX and one of Python take differently."""


def test(words: Sequence[Text], present: Callable[[str, str], Answer]) -> Answer:
    """The answer to `[ WORDS ]`.

    ``present`` takes -e, -f, -d or -s and a path.
    """
    if "(" in words or ")" in words:
        return None
    alternatives = [_all(part, present) for part in _split(words, "-o")]
    if True in alternatives:
        return True
    return None if None in alternatives else False


def _split(words: Sequence[Text], mark: str) -> list[list[Text]]:
    parts: list[list[Text]] = [[]]
    for word in words:
        if word == mark:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _all(words: Sequence[Text], present: Callable[[str, str], Answer]) -> Answer:
    answers = [_one(part, present) for part in _split(words, "-a")]
    if False in answers:
        return False
    return None if None in answers else True


def _one(words: Sequence[Text], present: Callable[[str, str], Answer]) -> Answer:
    if words and words[0] == "!":
        inner = _one(words[1:], present)
        return None if inner is None else not inner
    if None in words:
        return None
    known = [word for word in words if word is not None]
    if len(known) == 3:
        return _compare(*known)
    if len(known) == 2 and known[0] in ("-n", "-z"):
        return (known[1] != "") == (known[0] == "-n")
    if len(known) == 2 and known[0] in FILES:
        return present(known[0], known[1])
    if len(known) <= 1:
        return bool(known and known[0])
    return None


def _compare(one: str, operator: str, other: str) -> Answer:
    if operator in ("=", "=="):
        return one == other
    if operator == "!=":
        return one != other
    if operator in NUMBERS and re.fullmatch(r"-?\d{1,18}", one) and re.fullmatch(r"-?\d{1,18}", other):
        return bool(NUMBERS[operator](int(one), int(other)))
    return None


def regexp(pattern: str, text: str, groups: bool) -> re.Match[str] | None:
    """The match of a POSIX regular expression, with its ``groups`` or without.

    Raises `re.error` for one that Python takes differently.
    """
    if OTHERWISE.search(pattern) or ("|" in pattern and groups):
        raise re.error("not the same in Python")
    return re.search(pattern, text)
