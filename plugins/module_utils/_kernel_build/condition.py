# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of Kconfig (Documentation/kbuild/kconfig-language.rst), for a finished configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping

TOKEN = re.compile(r"\|\||&&|[<>!]?=|[<>!()]|\"[^\"]*\"|'[^']*'|\w+|\$\([^()]*\)|\S")
COMPARISONS = ("=", "!=", "<", ">", "<=", ">=")
UNSET = "n"


def holds(condition: str, values: Mapping[str, str]) -> bool:
    """Whether a condition is met, as a module or built in.

    One that cannot be read counts as met: it is no reason that could be named.
    """
    reader = _Reader(TOKEN.findall(condition), values)
    try:
        met = reader.either()
    except IndexError:
        return True
    return met or bool(reader.left)


class _Reader:
    """A reader of tokens by recursive descent."""

    def __init__(self, tokens: list[str], values: Mapping[str, str]) -> None:
        self.left = tokens
        self.values = values

    def either(self) -> bool:
        met = self.both()
        while self.left[:1] == ["||"]:
            self.left.pop(0)
            met = self.both() or met
        return met

    def both(self) -> bool:
        met = self.one()
        while self.left[:1] == ["&&"]:
            self.left.pop(0)
            met = self.one() and met
        return met

    def one(self) -> bool:
        token = self.left.pop(0)
        if token == "!":
            return not self.one()
        if token == "(":
            met = self.either()
            self.left.pop(0)
            return met
        if self.left[:1] and self.left[0] in COMPARISONS:
            return _compare(self._value(token), self.left.pop(0), self._value(self.left.pop(0)))
        return token.startswith("$") or self._value(token) not in (UNSET, "")

    def _value(self, token: str) -> str:
        if token.isupper() or token in self.values:
            return self.values.get(token, UNSET).strip('"')
        return token.strip("\"'")


def _compare(left: str, sign: str, right: str) -> bool:
    if sign in ("=", "!="):
        return (left == right) == (sign == "=")
    try:
        one, other = int(left, 0), int(right, 0)
    except ValueError:
        return True
    return {"<": one < other, ">": one > other, "<=": one <= other, ">=": one >= other}[sign]


def lacking(condition: str, values: Mapping[str, str]) -> list[str]:
    """Options of a condition that is not met.

    In words: ``A is not set``, ``B is set``, ``C=0``.
    """
    tokens, shown = TOKEN.findall(condition), []
    for number, token in enumerate(tokens):
        value = values.get(token, UNSET)
        if not re.fullmatch(r"[A-Z0-9]\w*", token) or token.isdigit():
            continue
        if [*tokens, ""][number + 1] in COMPARISONS:
            shown.append(f"{token}={value}")
        elif number and tokens[number - 1] == "!":
            shown += [f"{token} is set"] if value != UNSET else []
        elif value == UNSET:
            shown.append(f"{token} is not set")
    return list(dict.fromkeys(shown))
