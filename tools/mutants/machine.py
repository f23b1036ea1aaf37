# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What results of planted faults rest on besides the checkout.

Python and its packages (requirements/dev.txt pins them), how faults are tried, and the programs that the test starts,
by their contents. The running kernel is no part of it, nor are settings in the environment: trials run without them.
"""

from __future__ import annotations

import functools
import hashlib
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from tools import evidence, inputs

TRIAL = ("copies.py", "observe.py", "trial.py")
"""Files here that decide what a trial is, and its verdict."""


def checksum(programs: Sequence[str]) -> str:
    """Checksum of what counts for a test that starts these programs."""
    return evidence.digest([_python(), *(f"{name} {_program(name)}" for name in programs)])


def forget() -> None:
    """Read everything again from here on."""
    _python.cache_clear()
    _program.cache_clear()


@functools.cache
def _python() -> str:
    own = [evidence.code(Path(__file__).with_name(name).read_text(encoding="utf-8")) for name in TRIAL]
    return evidence.digest([platform.python_version(), platform.machine(), *inputs.packages(), *own])


@functools.cache
def _program(name: str) -> str:
    """Checksum of a program on the PATH; empty where there is none."""
    path = shutil.which(name)
    if path is None:
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
