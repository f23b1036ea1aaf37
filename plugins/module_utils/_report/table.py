# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Lines with columns as wide as their widest cell; columns without any content are left out."""
    body = [list(map(str, row)) for row in rows]
    shown = [index for index in range(len(head)) if any(row[index] for row in body)]
    lines = [[row[index] for index in shown] for row in [list(head), *body]]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return [indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def step_lines(steps: Sequence[dict[str, Any]]) -> list[str]:
    """Steps as `_steps.summary` gives them."""
    rows = [(step["pf"], step["step"], step.get("vfs", ""), f"{step['before']} -> {step['after']}") for step in steps]
    return table(("PF", "STEP", "VFS", "CHANGE"), rows) if rows else []
