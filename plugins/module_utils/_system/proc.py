# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of processes of this machine, from /proc."""

from __future__ import annotations

import re


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def where(pid: int) -> str:
    """A process's state and the kernel functions that it waits in.

    As far as they may be read (proc(5)).
    """
    state = re.search(r"^State:\s+(\S)", _read(pid, "status"), re.MULTILINE)
    if state is None:
        return "gone"
    frames = re.findall(r"^\[\S+\] (\w[\w.]*)", _read(pid, "stack"), re.MULTILINE)[:4]
    inside = " < ".join(frames) or _read(pid, "wchan").strip("0")
    return f"state {state.group(1)}" + (f", in {inside}" if inside else "")
