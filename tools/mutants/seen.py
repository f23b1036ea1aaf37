# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test was seen to use (observe.py), in short.

Each note is four letters of its checksum, in order, without anything between. Two notes may have the same four: then
both are taken, and a result rests on a file more.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

LENGTH = 4
ANY = "any"
PROGRAM = "program "


@dataclass(frozen=True)
class Seen:
    """Packed ``notes`` of files, and names of ``programs`` with spaces between."""

    notes: str = ""
    programs: str = ""

    @classmethod
    def of(cls, lines: Iterable[str]) -> Seen:
        """What the observer's lines say."""
        every = set(lines)
        started = {line for line in every if line.startswith(PROGRAM)}
        return cls(packed(every - started), " ".join(sorted(line.removeprefix(PROGRAM) for line in started)))


def letters(note: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(note.encode()).digest()[:3]).decode()


def packed(notes: Iterable[str]) -> str:
    return "".join(sorted({letters(note) for note in notes}))


def unpacked(seen: str) -> set[str]:
    """The letters of each note."""
    return {seen[index : index + LENGTH] for index in range(0, len(seen), LENGTH)}
