# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes of this one, those of children that were killed too."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER (prctl(2)): processes whose parent was killed become ours, not the machine's."""


def adopt() -> None:
    """Become the parent of whoever loses its own below this process."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def of_this() -> set[int]:
    """Process ids of all children, of each thread."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(int(word) for word in file.read_text().split())
    return found


def end(pids: Iterable[int]) -> None:
    """Kill children, and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
