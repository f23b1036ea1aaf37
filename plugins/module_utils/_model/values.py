# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as people write them: typed, bounded readers, and their display.

Templates of Ansible and command lines give numbers and flags as texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from .errors import BadInputError

MOST_SHOWN = 80
"""Characters of a value in a message."""

_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "f", "0"))
"""The words that Ansible takes for flags (module_utils/parsing/convert_bool.py)."""

_NUMBER = r"-?\d{1,10}"
"""Numbers in texts.

Python converts no more than 4,300 digits, in quadratic time.
"""


def flag(value: object, where: str) -> bool:
    """``value`` as true or false, else `BadInputError`."""
    word = value.strip().lower() if isinstance(value, str) else str(value) if value in (0, 1) else ""
    if isinstance(value, bool) or word in _TRUE or word in _FALSE:
        return value if isinstance(value, bool) else word in _TRUE
    raise BadInputError(f"{where}: {shown(value)} is not true or false")


def whole(value: object) -> int | None:
    """``value`` as a whole number, None for what is none."""
    if isinstance(value, str) and re.fullmatch(_NUMBER, value.strip(), re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def whole_of(value: object) -> int:
    """``value`` as a whole number, else `ValueError`, in answers of programs."""
    found = whole(value)
    if found is None:
        raise ValueError(f"{shown(value)} is not a whole number")
    return found


def number(value: object, low: int, high: int | None, where: str) -> int:
    """``value`` as a whole number from ``low`` to ``high``, else `BadInputError`."""
    found = whole(value)
    if found is None or found < low or (high is not None and found > high):
        upto = "on" if high is None else f"to {high}"
        raise BadInputError(f"{where}: {shown(value)} is not a whole number from {low} {upto}")
    return found


def shown(value: object) -> str:
    """``value`` for a message, as YAML has it, in one short line."""
    if isinstance(value, str):
        return f"'{cut(printable(value[: MOST_SHOWN + 1]))}'"
    if isinstance(value, Mapping):
        return "{}" if not value else f"a mapping with the keys {_few(value)}"
    if isinstance(value, (list, tuple)) and len(value) > 3:
        return f"a list of {len(value)} values"
    return cut(printable(_json(value)))


def cut(text: str) -> str:
    """The beginning of ``text``, as much as a message takes."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _few(keys: Mapping[object, object]) -> str:
    names = [printable(str(key)[:MOST_SHOWN]) for key in list(keys)[:3]]
    return ", ".join([*names, *(["..."] if len(keys) > 3 else [])])


def _json(value: object) -> str:
    try:
        return json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "a value that is too long to show"


def printable(text: str) -> str:
    """``text`` without what would move a terminal's cursor or forge a line.

    Control characters, line ends, and bytes that are no UTF-8 become escapes.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def printable_lines(text: str, allowed: str = "") -> str:
    """``text`` as `printable`, with its line feeds.

    What ``allowed`` matches, a pattern without groups, stays as well.
    """
    return "\n".join(
        line if line.isprintable() else _printable_but(line, allowed) for line in text.split("\n")
    )  # fmt: skip


def _printable_but(line: str, allowed: str) -> str:
    if not allowed:
        return printable(line)
    kept = [*re.findall(allowed, line), ""]
    return "".join(f"{printable(part)}{mark}" for part, mark in zip(re.split(allowed, line), kept))
