# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/crypttab: what opens encrypted volumes at boot (crypttab(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PATH = "/etc/crypttab"
LARGEST = 1 << 20
"""Most bytes of the file that are read."""
NO_KEY = ("", "none", "-")
RANDOM = ("/dev/urandom", "/dev/random", "/dev/hwrng", "/dev/hw_random")
"""Keys that are others at each boot."""
FORMATTING = ("swap", "tmp")
"""Options by which each boot formats the volume."""


@dataclass(frozen=True)
class Entry:
    """One line.

    ``key``: path of the key file, None for none; ``options``: values by name, empty for those without one; ``number``:
    of the line.
    """

    name: str
    source: str
    key: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    number: int = field(default=0, compare=False)

    @property
    def awaited(self) -> bool:
        """Whether a boot waits until it is open."""
        return not self.options.keys() & {"noauto", "nofail"}


def parse(text: str) -> list[Entry]:
    """Entries in their order; lines that are none are left out."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        fields = [_decoded(word) for word in line.split()]
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        key = fields[2] if len(fields) > 2 and fields[2] not in NO_KEY else None
        found.append(Entry(fields[0], fields[1], key, options(fields[3] if len(fields) > 3 else ""), number))
    return found


def options(text: str) -> dict[str, str]:
    """Options of a list like ``luks,tpm2-device=auto``."""
    return {one.partition("=")[0]: one.partition("=")[2] for one in text.split(",") if one}


def _decoded(word: str) -> str:
    return re.sub(r"\\0?([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
