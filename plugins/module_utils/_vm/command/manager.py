# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manager does with the VMs whose memory it keeps.

It starts a saved VM for whoever asks, and nothing here can hold it off.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ..._model.errors import KernelError
from ..._model.paths import BOOT_ID
from ..._model.properties import VfProperties
from ..._system import durable, process
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..._system.update_folder import Folder
from ..backend import Deadlines
from ..candidates import started
from ..ending import UNKNOWN, EndedError, Ending
from ..record import ManifestVf, ManifestVm
from ..vm_commands import VmCommands
from ..vm_facts import VmFacts
from . import processes
from .managed import Managed, RunFor
from .part import CommandPart

NOTE = ".attempt"
"""End of the note's name that a start is ours."""


@dataclass(frozen=True)
class CommandManager:
    """The VMs of managers that the option vm_commands names.

    ``run_for``: runs programs of the operator, each with a deadline of its own.
    """

    sysfs: Sysfs
    run: Run
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    run_for: RunFor = process.run
    name: ClassVar[str] = "command"
    managed: ClassVar[bool] = True

    def pid(self, name: str) -> int | None:
        found = (processes.find(self.sysfs, one, name) for one in self.deadlines.vm_commands)
        return next((pid for pid in found if pid is not None), None)

    def is_own(self, vm: ManifestVm) -> bool:
        note = durable.read_json(self._note(vm)) or {}
        return self._of(vm).pid is not None and note.get("boot_id") == self.sysfs.read(BOOT_ID)

    def continues(self, vm: ManifestVm) -> bool:
        """Whether a QEMU that was not armed was started with a memory."""
        pid = self._of(vm).pid
        try:
            armed = pid is not None and (pid, started(self.sysfs, pid)) == (vm.pid, vm.started)
        except (KernelError, ValueError, IndexError):
            return False
        return pid is not None and not armed and processes.is_loaded(self.sysfs, pid)

    def offer(self, vm: ManifestVm, state: str) -> None:
        """Nothing: the manager offers it by itself, whatever its disks."""

    def withhold(self, vm: ManifestVm) -> None:
        """Nothing: no program of the operator holds a manager off."""

    def released(self, vm: ManifestVm, vf: ManifestVf, now: VfProperties) -> VfProperties:
        return now

    def moving(self, vm: VmFacts, to: str) -> tuple[str, ...]:
        return ()

    def starts_again(self, vm: ManifestVm) -> str | None:
        """Nothing that is known: whoever moves it tells its manager."""
        return None

    def ending(self, vm: ManifestVm) -> Ending:
        return UNKNOWN

    def forget(self, vm: ManifestVm, aside: str | None) -> None:
        """Let the manager delete a memory that is history, or given up.

        Its next start would load that upon whatever disks there are then. It cannot be moved ``aside``. What is kept of
        a VM that does not run, and was not given up, is somebody else's: its user has saved it since.
        """
        one = self._of(vm)
        if (one.pid is None) == (aside is not None):
            self._drop(one)
        durable.remove(self._note(vm))

    def _drop(self, one: Managed) -> None:
        if one.is_saved():
            one.call(one.commands.discard, self.deadlines.start_s)

    def _managed(self, name: str, commands: VmCommands) -> Managed:
        return Managed(self.sysfs, self._run, name, commands, self.deadlines, self.sleep)

    def _run(self, argv: Sequence[str], seconds: float) -> str:
        """Run a program here; below another root that is refused."""
        return self.run(argv) if self.run is process.refuse else self.run_for(argv, seconds)

    def _of(self, vm: ManifestVm) -> Managed:
        return self._managed(vm.name, CommandPart.of(vm).commands)

    def _living(self, vm: ManifestVm) -> int:
        """Its process; raises `EndedError` for one that is gone."""
        pid = self._of(vm).pid
        if pid is None:
            raise EndedError(self.ending(vm))
        return pid

    def _note(self, vm: ManifestVm) -> str:
        return f"{Folder.of(self.sysfs).state(vm.name)}{NOTE}"

    def _begin(self, vm: ManifestVm) -> None:
        """Note durably that the start to come is ours."""
        Folder.of(self.sysfs).make_vm(vm.name)
        durable.write_json(self._note(vm), {"boot_id": self.sysfs.read(BOOT_ID)})


def resident(sysfs: Sysfs, pid: int) -> int:
    """Bytes of memory that a process has; 0 once it is gone."""
    try:
        found = re.search(r"^VmRSS:\s+(\d{1,15}) kB", sysfs.read(f"/proc/{pid}/status"), re.MULTILINE)
    except KernelError:
        return 0
    return int(found.group(1)) << 10 if found else 0
