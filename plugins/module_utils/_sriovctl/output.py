# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output of ``sriovctl``: answers to stdout, remarks to stderr, exit statuses."""

from __future__ import annotations

import sys

FAILED, BAD_INPUT, REFUSED = 1, 2, 3
"""Exit statuses, see `cli.EXITS`."""
LOOKS = r"\x1b\[[0-9;]*m"
"""Colours of a terminal (`terminal.coloured`), the only controls."""


def answer(text: str) -> None:
    """Write ``text`` and a line's end to stdout at once."""
    sys.stdout.write(f"{_shown(text, LOOKS)}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Write ``text`` and a line's end to stderr at once."""
    sys.stderr.write(f"{_shown(text)}\n")
    sys.stderr.flush()


def _shown(text: str, allowed: str = "") -> str:
    """``text`` with control characters as escapes, but those ``allowed``."""
    if all(map(str.isprintable, text.split("\n"))):
        return text
    from .._model.values import printable_lines  # late: a resume hardly ever needs it

    return printable_lines(text, allowed)
