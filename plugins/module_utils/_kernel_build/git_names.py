# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files in patches, quoted as git quotes them (quote.c, quote_c_style)."""

from __future__ import annotations

import re

_WORD = r'"(?:[^"\\]|\\.)*"'
_ESCAPE = re.compile(rb'\\(?:([0-3][0-7]{2})|(["\\abfnrtv]))')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def one(text: str) -> str | None:
    """A name without its quotes; None for what git does not write."""
    if not text.startswith('"'):
        return text or None
    if not re.fullmatch(_WORD, text):
        return None
    return _ESCAPE.sub(_unquoted, text[1:-1].encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _unquoted(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)]) if found[1] else _LETTERS.get(found[2], found[2])


def both(line: str) -> tuple[str, str] | None:
    """The two equal names of a line ``diff --git a/NAME b/NAME``.

    None where they are not equal, as those of a rename are. A name may have blanks without being quoted.
    """
    words = line[len("diff --git ") :]
    quoted = re.fullmatch(rf"({_WORD}) ({_WORD})", words)
    half = len(words) // 2
    left, right = quoted.groups() if quoted else (words[:half], words[half + 1 :])
    old, new = one(left), one(right)
    if old is None or new is None or old[:2] != "a/" or new[:2] != "b/" or old[2:] != new[2:] or not old[2:]:
        return None
    return old[2:], new[2:]
