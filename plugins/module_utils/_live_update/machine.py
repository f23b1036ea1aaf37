# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of a live update: files, programs, clocks and VM backends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .._model.errors import SriovError
from .._model.paths import BOOT_ID, UPTIME
from .._system import arp, icmp, process, uevents
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.uevents import Uevents
from .._system.update_folder import Folder
from .._vm.backend import Backend
from .._vm.record import ManifestVm
from .._vm.registry import backends
from .kexec import Kexec
from .options import Options

FAILURES = (Exception,)
"""Failures that concern one VM or PF, not the others.

All of them: files, and answers of other programs, may be anything.
"""


@dataclass(frozen=True)
class LiveHost:
    """All I/O of a live update; tests give their own.

    ``log`` takes one line of text; each entry point decides where it goes. ``run_long``: a program with a deadline.
    """

    sysfs: Sysfs
    run: Run
    backends: Mapping[str, Backend]
    kexec: Kexec
    log: Callable[[str], None]
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    ping: Callable[[str, float], bool] = icmp.ping
    arp: Callable[[str, str, float], str | None] = arp.ask
    run_long: Callable[[Sequence[str], float], str] = process.run
    listen: Callable[[], Uevents | None] = uevents.listen

    @property
    def folder(self) -> Folder:
        return Folder.of(self.sysfs)

    def backend(self, vm: ManifestVm) -> Backend:
        """The backend that the manifest names for a VM."""
        return self.backends[vm.backend]

    def pid(self, vm: ManifestVm) -> int | None:
        """Process id of a running VM of that name, whatever its backend."""
        pids = (backend.pid(vm.name) for backend in self.backends.values())
        return next((pid for pid in pids if pid is not None), None)

    def uptime(self) -> float:
        """Seconds since this boot, suspends included; no clock changes it.

        Raises `SriovError` when they cannot be read.
        """
        try:
            found = float(self.sysfs.read(UPTIME).split()[0])
        except (ValueError, IndexError) as error:
            raise SriovError(f"{UPTIME} does not say the time since the boot") from error
        if not 0 <= found < math.inf:
            raise SriovError(f"{UPTIME} says {found} s since the boot")
        return found

    def uptime_after(self, boot_id: str) -> float:
        """Seconds for which another boot is over, at least.

        0 in that one, and when they cannot be read.
        """
        try:
            return 0.0 if self.boot_id() == boot_id else self.uptime()
        except SriovError:
            return 0.0

    def boot_id(self) -> str:
        return self.sysfs.read(BOOT_ID)


def real(sysfs: Sysfs, options: Options, log: Callable[[str], None], run: Run = process.run) -> LiveHost:
    """This machine, with the deadlines of ``options``."""
    return LiveHost(sysfs, run, backends(sysfs, run, options), Kexec(sysfs, run), log)
