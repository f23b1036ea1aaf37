# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the engine, one family; only an entry point (module, sriovctl) turns them into an exit."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SriovError(Exception):
    """Something the user must know: what was being done, to which device, and what the system answered.

    ``failures``: the errors of single PFs, by address, where it is about some of them.
    """

    failures: Mapping[str, SriovError] = {}


class BadInputError(SriovError):
    """Wrong input, found before anything was written; names the thing, the value and the fix."""


class RefusedError(SriovError):
    """The wanted state is clear but reaching it would do harm; names the harm and how to allow it."""


class KernelError(SriovError):
    """The kernel or a tool said no.

    ``path`` is what was read, written or run, ``value`` what was written, ``errno`` the kernel's answer (0 for a tool).
    """

    def __init__(self, action: str, path: str, number: int, value: str | None = None) -> None:
        name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
        what = path if value is None else f"'{value}' to {path}"
        super().__init__(f"cannot {action} {what}: {name} ({os.strerror(number)})")
        self.path, self.errno, self.value = path, number, value


class ToolError(SriovError):
    """A program ended with another status than 0; ``status`` is negative for a signal, 127 when it is not installed."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        answer = " ".join(stderr.split()) or "it said nothing"
        super().__init__(f"'{' '.join(argv)}' ended with status {status}: {answer}")
        self.argv, self.status, self.stderr = tuple(argv), status, stderr


class PropertyError(SriovError):
    """The kernel refused a property of a VF.

    ``properties`` are those of one netlink attribute; ``errno`` is 0 where a program kept it to itself.
    """

    def __init__(self, what: str, properties: Sequence[str], number: int, answer: str, cause: ToolError) -> None:
        super().__init__(f"the kernel refused {what}: {answer}; {cause}")
        self.properties, self.errno = tuple(properties), number


class VerifyError(SriovError):
    """Every step went through, but the state read afterwards is not the wanted one."""


class DeadlineError(SriovError):
    """A named condition did not come true in time."""


class BusyError(DeadlineError):
    """Another run has the PF, and has not ended in time; nothing was written."""


class BlockedError(DeadlineError):
    """The kernel neither carries something out nor gives it up; what does it was left behind, waiting."""
