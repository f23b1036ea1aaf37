# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines in colour, where a person looks at a terminal (ECMA-48, SGR)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TextIO

BOLD, RED, YELLOW = "1", "31", "33"

Paint = Callable[[str, str], str]
"""A line and how it shall look, to what is printed."""


def plain(line: str, _look: str) -> str:
    return line


def coloured(line: str, look: str) -> str:
    return f"\x1b[{look}m{line}\x1b[0m"


def paint_for(stream: TextIO, environment: Mapping[str, str]) -> Paint:
    """Plain for pipes and files, with NO_COLOR (no-color.org), and on terminals that know no more."""
    known = stream.isatty() and environment.get("TERM") != "dumb" and not environment.get("NO_COLOR")
    return coloured if known else plain
