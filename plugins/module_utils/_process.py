# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running other programs: argv lists, never a shell."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence

from ._errors import DeadlineError, SriovError, ToolError

Run = Callable[[Sequence[str]], str]
"""Runs an argv and returns what it wrote to stdout; raises `ToolError`."""

DEADLINE_S = 60.0


def run(argv: Sequence[str], deadline_s: float = DEADLINE_S) -> str:
    """Stdout of ``argv``, run in the C locale, without input.

    Raises `ToolError` with argv, status and stderr; `DeadlineError` after ``deadline_s`` seconds.
    """
    try:
        done = subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=deadline_s, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except OSError as error:
        raise ToolError(argv, 127, f"cannot run it: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"'{' '.join(argv)}' did not end within {deadline_s:g} s") from error
    if done.returncode != 0:
        raise ToolError(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def refuse(argv: Sequence[str]) -> str:
    """A `Run` for trees that are not this machine's: programs would act on the machine itself, so none is run."""
    raise SriovError(f"'{' '.join(argv)}' is not run below another root: it would act on this machine")
