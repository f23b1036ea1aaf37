# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for terminals: tables, and colour where a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

BOLD, RED, YELLOW = "1", "31", "33"

Paint = Callable[[str, str], str]
"""Gives a line a look (ECMA-48, SGR)."""


def plain(line: str, _sgr: str) -> str:
    return line


def coloured(line: str, sgr: str) -> str:
    return f"\x1b[{sgr}m{line}\x1b[0m"


def paint_for(stream: TextIO, environment: Mapping[str, str]) -> Paint:
    """Colour for terminals.

    Plain for pipes and files, with NO_COLOR (no-color.org), and for dumb terminals.
    """
    known = stream.isatty() and environment.get("TERM") != "dumb" and not environment.get("NO_COLOR")
    return coloured if known else plain


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Lines with columns as wide as their widest cell.

    Columns without content are left out.
    """
    body = [list(map(str, row)) for row in rows]
    shown = [index for index in range(len(head)) if any(row[index] for row in body)]
    lines = [[row[index] for index in shown] for row in [list(head), *body]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def step_lines(steps: Sequence[dict[str, Any]]) -> list[str]:
    """A table of the steps that `_plan.steps.summary` returns."""
    rows = [(step["pf"], step["step"], step.get("vfs", ""), f"{step['before']} -> {step['after']}") for step in steps]
    return table(("PF", "STEP", "VFS", "CHANGE"), rows) if rows else []
