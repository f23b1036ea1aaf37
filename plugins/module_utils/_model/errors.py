# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the engine, one family.

Only an entry point (module, sriovctl) turns them into an exit.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FORCE = "force: true (with the role, sriov_force: true)"
ALLOW_DISRUPTIVE = "allow_disruptive: true (with the role, sriov_allow_disruptive: true)"
ALLOW_UNPROVEN = "allow_unproven: true (with the role, kernel_deploy_allow_unproven: true)"
TAKE_OVER = "take_over: true (with the role, live_update_take_over: true), or --take-over"
"""Options that allow what was refused, of modules and roles."""


class SriovError(Exception):
    """An error for the user: attempt, device and the system's answer.

    ``failures``: the errors of single PFs, by address, where it is about some of them.
    """

    failures: Mapping[str, SriovError] = {}

    @property
    def name(self) -> str:
        """Its name in results."""
        return type(self).__name__


class BadInputError(SriovError):
    """Wrong input, detected before any write: names thing, value and fix.

    ``mistakes``: each by itself; a message has the first `MOST_MISTAKES` of them, one a line.
    """

    MOST_MISTAKES = 50

    def __init__(self, *mistakes: str) -> None:
        more = len(mistakes) - self.MOST_MISTAKES
        lines = [f"- {one}" for one in mistakes[: self.MOST_MISTAKES]] + ([f"- and {more} more"] if more > 0 else [])
        super().__init__(mistakes[0] if len(mistakes) == 1 else "\n".join([f"{len(mistakes)} mistakes:", *lines]))
        self.mistakes = mistakes


class RefusedError(SriovError):
    """A refusal of a harmful change: names harm and permission.

    The desired state is clear, but reaching it would do harm.
    """


class KernelError(SriovError):
    """A failed read, write or program run.

    ``path`` is what was read, written or run, ``value`` what was written, ``errno`` the kernel's answer (0 for a tool).
    """

    def __init__(self, action: str, path: str, number: int, value: str | None = None) -> None:
        name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
        what = path if value is None else f"'{value}' to {path}"
        super().__init__(f"cannot {action} {what}: {name} ({os.strerror(number)})")
        self.path, self.errno, self.value = path, number, value


class ToolError(SriovError):
    """A program's exit status other than 0.

    ``status`` is negative for a signal, 127 when the program is not installed.
    """

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        answer = " ".join(stderr.split()) or "it said nothing"
        super().__init__(f"'{' '.join(argv)}' ended with status {status}: {answer}")
        self.argv, self.status, self.stderr = tuple(argv), status, stderr


class PropertyError(SriovError):
    """The kernel's refusal of a VF property.

    ``properties`` are those of one netlink attribute; ``errno`` is 0 where a program did not report it.
    """

    def __init__(self, what: str, properties: Sequence[str], number: int, answer: str, cause: ToolError) -> None:
        super().__init__(f"the kernel refused {what}: {answer}; {cause}")
        self.properties, self.errno = tuple(properties), number


class VerifyError(SriovError):
    """A reading after all steps that does not show the goal."""


class DeadlineError(SriovError):
    """A named condition that did not come true in time."""


class BusyError(DeadlineError):
    """A PF lock that another run did not release in time.

    Nothing was written.
    """


class BlockedError(DeadlineError):
    """A call that the kernel has blocked; its process was left waiting."""
