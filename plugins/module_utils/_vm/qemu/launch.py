# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The launch of a QEMU, once the host has all it needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..._model.deadlines import MONITOR_PAUSE_S
from ..._model.errors import DeadlineError, SriovError
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..record import ManifestVm
from . import argv as _argv
from . import environment_file
from .needs import BRIDGE, Need
from .part import QemuPart
from .qmp import Qmp


@dataclass(frozen=True)
class Launch:
    """A launch on this host; needs are awaited for ``start_s`` at most."""

    sysfs: Sysfs
    run: Run
    start_s: float
    sleep: Callable[[float], None]

    def start(self, vm: ManifestVm, argv: Sequence[str]) -> None:
        """Start QEMU in a transient unit of the VM's name.

        A child of the resume unit would end with it.
        """
        part = QemuPart.of(vm)
        self.wait(vm, argv)
        for folder in _argv.run_folders(argv):
            os.makedirs(self.sysfs.real(folder), mode=0o755, exist_ok=True)
        if self.sysfs.exists(part.qmp):
            os.unlink(self.sysfs.real(part.qmp))
        with environment_file.handed_over(self.sysfs, vm.name, part.unit.environment) as environment:
            self.run([
                "systemd-run", "--quiet", "--collect", f"--unit={vm.unit}", f"--working-directory={part.cwd}",
                "--property=Type=exec", "--property=DefaultDependencies=no", "--property=Conflicts=shutdown.target",
                "--property=Before=shutdown.target", *environment, *part.unit.words(), "--",
                *(word.replace("$", "$$") for word in argv),  # systemd expands $NAME (systemd.service(5))
            ])  # fmt: skip

    def wait(self, vm: ManifestVm, argv: Sequence[str]) -> None:
        """Wait for all that the host must have.

        A QEMU that is started before may open an older file below an absent mount.
        """
        until = time.monotonic() + self.start_s
        for need in [*(Need(BRIDGE, name) for name in _argv.bridges(argv)), *QemuPart.of(vm).needs]:
            while not need.met(self.sysfs):
                if time.monotonic() >= until:
                    raise DeadlineError(f"gave up waiting for {need} of VM {vm.name}")
                self.sleep(MONITOR_PAUSE_S)

    def monitor(self, vm: ManifestVm, connect: Callable[[], Qmp]) -> Qmp:
        """Wait for the monitor of a QEMU that was started.

        Raises `DeadlineError` after ``start_s``, `SriovError` for one that has ended.
        """
        until = time.monotonic() + self.start_s
        while True:
            try:
                return connect()
            except SriovError as error:
                if time.monotonic() >= until:
                    raise DeadlineError(f"VM {vm.name}: {error} after {self.start_s:g} s") from error
                if not self.active(vm):
                    raise SriovError(f"VM {vm.name}: its QEMU ended at once; see journalctl -u {vm.unit}") from error
                self.sleep(MONITOR_PAUSE_S)

    def active(self, vm: ManifestVm) -> bool:
        """Whether the VM's unit runs, by systemd."""
        state = self.run(["systemctl", "show", "--property=ActiveState", "--value", vm.unit])
        return state.strip() not in ("inactive", "failed")
