# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a fake host (`FakeHost.faults`, `FakeHost.wrong`), beside errno numbers."""

from __future__ import annotations

LIE = "lie"
"""It says that it was done, and nothing was."""

STATUS = "status"
"""A program ends with a status, and says nothing that anybody knows; `ip` has done the first half of its work."""

LATE = "late"
"""A program is ended after its deadline; `ip` has done half of its work, others all of it."""

STUCK = "stuck"
"""The kernel does not come back: from a write with a deadline, or from a program as `LATE`."""

NONSENSE = "nonsense"
"""A program that is asked writes something else than JSON."""

OTHER = "other"
"""A program that is asked writes JSON that says nothing of what it was asked."""

KILL = "kill"
"""The run is killed: nothing of it happens any more. `ip`, which it had started, does half of its work."""

KILL_AFTER = "kill after"
"""The run is killed as soon as this action is done, before it knows."""


class Killed(BaseException):
    """The place of SIGKILL: no handler of errors may see it."""
