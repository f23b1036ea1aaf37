# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at one step after the other.

Something is done in a child, which ends with all that it has started, without a word, at one of its steps: a file that
is renamed, removed or synced, a program that runs. What is lost of the page cache is not played.
"""

from __future__ import annotations

import os
import signal
import stat
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("rename", "replace", "unlink", "remove", "fsync")
SHIM = """#!/bin/sh
case $1 in
{only})
	read -r steps <{counter}
	test "$steps" -gt 0 || kill -9 0
	echo $((steps - 1)) >{counter}
	;;
esac
exec {program} "$@"
"""


class Power:
    """Steps until the power is cut; its files are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.counter, self.programs, self.errors = (folder / name for name in ("steps", "programs", "errors"))
        self.programs.mkdir(parents=True, exist_ok=True)
        self.counter.write_text("1000000")

    def step(self) -> None:
        """Take one step, at which all may end."""
        left = int(self.counter.read_text())
        if left <= 0:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        self.counter.write_text(str(left - 1))

    def shim(self, program: str, only: str = "*") -> None:
        """Let a program be a step.

        Where `programs` is first in the path. ``only``: pattern of its first word.
        """
        path = self.programs / Path(program).name
        path.write_text(SHIM.format(counter=self.counter, program=program, only=only))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def cut(self, steps: int, act: Callable[[], object]) -> bool:
        """Do ``act``; whether the power was cut after ``steps``.

        Raises AssertionError where it failed by itself.
        """
        self.counter.write_text(str(steps))
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            status = 1
            try:
                self._hook()
                act()
                status = 0
            except BaseException:
                self.errors.write_text(traceback.format_exc())
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.counter.write_text("1000000")
        if status not in (0, -signal.SIGKILL):
            raise AssertionError(self.errors.read_text()[-3000:])
        return status != 0

    def _hook(self) -> None:
        hooks = {name: self._step_before(getattr(os, name)) for name in CALLS}
        for name, call in {**hooks, "sync": self.step}.items():  # not of all disks of this machine
            setattr(os, name, call)

    def _step_before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: object, **more: object) -> Any:  # noqa: ANN401 - as the function that it stands for
            self.step()
            return call(*arguments, **more)

        return called
