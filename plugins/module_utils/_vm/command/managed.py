# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One VM of a manager, seen from outside.

An exit status is a claim: what runs, what is open and what `saved` says are looked at after each program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import DeadlineError, SriovError, ToolError
from ..._system.sysfs import Sysfs
from ..backend import Deadlines, StragglerError
from ..ending import EndedError, Ending
from ..vm_commands import VmCommands, filled
from . import processes, vfio

RunFor = Callable[[Sequence[str], float], str]
"""A function from argv and a deadline to stdout."""


@dataclass(frozen=True)
class Managed:
    """One VM, with the programs of its manager."""

    sysfs: Sysfs
    run: RunFor
    name: str
    commands: VmCommands
    deadlines: Deadlines
    sleep: Callable[[float], None] = time.sleep

    @property
    def pid(self) -> int | None:
        return processes.find(self.sysfs, self.commands, self.name)

    def call(self, argv: Sequence[str], seconds: float, vf: str = "") -> str:
        """Run one of its programs."""
        return self.run(filled(argv, name=self.name, vf=vf), seconds)

    def is_saved(self) -> bool:
        """Whether its manager keeps a complete state.

        Raises `SriovError` when the program cannot tell: that is no No.
        """
        try:
            self.call(self.commands.saved, self.deadlines.answer_s)
        except ToolError as error:
            if error.status == 1:
                return False
            raise
        return True

    def words(self, argv: Sequence[str]) -> str:
        """What a person types for a program."""
        return f"`{' '.join(filled(argv, name=self.name, vf='VF'))}`"

    def save(self) -> None:
        """Run the program that saves it; its process has ended then."""
        try:
            self.call(self.commands.save, self.deadlines.migrate_s)
        except DeadlineError:  # its manager may go on
            if not self.until(lambda: self.pid is None, self.deadlines.answer_s):
                raise
        if not self.until(lambda: self.pid is None, self.deadlines.answer_s):
            raise SriovError(
                f"VM {self.name}: {self.words(self.commands.save)} ended with 0, and process {self.pid} runs on: it "
                "is not saved"
            )
        if not self.is_saved():
            raise EndedError(
                Ending(
                    f"{self.words(self.commands.save)} ended with 0 and its process is gone, but "
                    f"{self.words(self.commands.saved)} says that there is no state: its memory is lost", crashed=True,
                )
            )  # fmt: skip

    def load(self) -> None:
        """Run the program that restores it; a process of it runs then."""
        late = None
        try:
            self.call(self.commands.restore, self.deadlines.start_s)
        except DeadlineError as error:
            late = error
        if not self.until(lambda: self.pid is not None, self.deadlines.answer_s):
            raise late or SriovError(self.nothing_runs(self.commands.restore))

    def nothing_runs(self, argv: Sequence[str]) -> str:
        return f"VM {self.name}: {self.words(argv)} ended with 0, and no process of it runs"

    def held(self) -> set[str]:
        """Addresses of the devices that its process has open."""
        pid = self.pid
        return set(vfio.held(self.sysfs, pid)) if pid is not None else set()

    def release(self, vfs: Sequence[str]) -> None:
        """Unplug VFs, and see them closed; raises `StragglerError`."""
        until = time.monotonic() + self.deadlines.unplug_s
        for vf in sorted(set(vfs) & self.held()):
            try:
                self.call(self.commands.release, max(1.0, until - time.monotonic()), vf)
            except DeadlineError as error:
                raise StragglerError(f"VM {self.name}: {error}") from error
        if not self.until(lambda: not set(vfs) & self.held(), until - time.monotonic()):
            left = ", ".join(sorted(set(vfs) & self.held()))
            raise StragglerError(
                f"VM {self.name}: {self.words(self.commands.release)} ended with 0, and its process has VF {left} open "
                f"still after {self.deadlines.unplug_s:g} s"
            )

    def attach(self, vfs: Sequence[str]) -> None:
        """Plug the VFs that the VM lacks, and see them open."""
        for vf in sorted(set(vfs) - self.held()):
            if vfio.driver(self.sysfs, vf) != vfio.DRIVER:
                raise SriovError(
                    f"VM {self.name}: VF {vf} has driver {vfio.driver(self.sysfs, vf) or 'none'}, not {vfio.DRIVER}: "
                    f"it is not attached. Bind it, then `sriovctl live-update restore {self.name}`"
                )
            self.call(self.commands.attach, self.deadlines.start_s, vf)
        if not self.until(lambda: not set(vfs) - self.held(), self.deadlines.answer_s):
            lost = ", ".join(sorted(set(vfs) - self.held()))
            raise SriovError(
                f"VM {self.name}: {self.words(self.commands.attach)} ended with 0, and its process has not opened VF "
                f"{lost}: attach it, then `sriovctl live-update restore {self.name}`"
            )

    def until(self, over: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, at most ``seconds``."""
        end = time.monotonic() + seconds
        while not over():
            if time.monotonic() >= end:
                return False
            self.sleep(BUSY_PAUSE_S)
        return True
