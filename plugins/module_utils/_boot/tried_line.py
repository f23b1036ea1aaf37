# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that was tried, and that of the default.

A kernel that has booted with other words has not shown that it boots with these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._model import command_line
from .._model.errors import RefusedError
from .._model.paths import COMMAND_LINE
from .._system.sysfs import Sysfs
from .answer import Start

OF_TRIALS = ("panic", "rd.shell", "rd.emergency", "kvmfleet.tried", "systemd.watchdog_sec")
"""Words that only lead back from what fails."""


def words(text: str) -> list[str]:
    """Words of a command line, without quotes."""
    return [re.sub(r"[\"'\\]", "", word) for word in command_line.split(text)]


def only_tried(asked: Sequence[str], entry: str) -> list[str]:
    """Words asked for a trial that the entry lacks."""
    known = words(entry)
    return [word for word in asked if word.partition("=")[0] not in OF_TRIALS and word not in known]


def not_tried(entry: str, running: str) -> list[str]:
    """Words of an entry that the running kernel was not started with."""
    known = words(running)
    return [word for word in words(entry) if word not in known]


def require(sysfs: Sysfs, start: Start) -> None:
    """Refuse the running kernel's entry where it was started without its words."""
    other = not_tried(start.command_line, sysfs.read(COMMAND_LINE))
    if other:
        raise RefusedError(
            f"kernel {start.release} was started without {' '.join(other)}, which entry {start.entry} has: try it "
            "once more"
        )
