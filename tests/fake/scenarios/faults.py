# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a fake host (`FakeHost.faults`, `FakeHost.wrong`), beside errno numbers."""

from __future__ import annotations

LIE = "lie"
"""Success is reported, and nothing was done."""

STATUS = "status"
"""A program ends with a status and an unknown message.

`ip` has done the first half of its work.
"""

LATE = "late"
"""A program is ended after its deadline.

`ip` has done half of its work, others all of it.
"""

STUCK = "stuck"
"""The kernel blocks a write with a deadline, or a program (`LATE`)."""

NONSENSE = "nonsense"
"""A program that reads prints something else than JSON."""

OTHER = "other"
"""A program answers in JSON, but with other content."""

KILL = "kill"
"""The run is killed; a started `ip` does half of its work."""

KILL_AFTER = "kill after"
"""The run is killed after this action, before it knows."""


class Killed(BaseException):
    """The place of SIGKILL: no handler of errors may see it."""
