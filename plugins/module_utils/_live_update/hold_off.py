# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who would reboot the host meanwhile, held off.

unattended-upgrades, kured and others reboot a host that has /run/reboot-required. Installing packages restarts services
(needrestart), and where the kexec comes in between, half of them are installed. So from before the first VM is touched
until the jump the package manager's lock is held, and that file is aside. What comes after the jump has a new /run.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .._model.deadlines import LOCK_PAUSE_S
from .._model.errors import KernelError, RefusedError
from .._model.update_deadlines import PACKAGES_S
from .._model.update_paths import REBOOT_HELD, REBOOT_REQUIRED, SHUTDOWN_SCHEDULED
from .._system import durable, package_lock
from .._system.sysfs import Sysfs
from .finding import Finding


@dataclass(frozen=True)
class Others:
    """What others are about to do.

    ``shutdown``: what is scheduled and when, None for nothing; ``installing``: locks that package managers have.
    """

    shutdown: str | None = None
    installing: tuple[str, ...] = ()


def read(sysfs: Sysfs) -> Others:
    return Others(_scheduled(sysfs), tuple(package_lock.busy(sysfs)))


def check(others: Others) -> Iterator[Finding]:
    """A refusal where a shutdown would come in between."""
    if others.shutdown is not None:
        yield Finding("shutdown-scheduled", f"{others.shutdown} is scheduled on this host", "shutdown -c")


def warnings(others: Others) -> Iterator[Finding]:
    if others.installing:
        yield Finding(
            "installing",
            f"packages are being installed ({', '.join(others.installing)})",
            f"the update waits for its end, up to {PACKAGES_S:g} s, and is given up then",
        )


def _scheduled(sysfs: Sysfs) -> str | None:
    """What systemd-logind has scheduled, as shutdown(8) asks it to."""
    if not sysfs.exists(SHUTDOWN_SCHEDULED):
        return None
    text = sysfs.read(SHUTDOWN_SCHEDULED)
    mode, usec = (re.search(rf"^{name}=([a-z0-9-]{{1,20}})$", text, re.MULTILINE) for name in ("MODE", "USEC"))
    at = int(usec[1]) // 1_000_000 if usec and usec[1].isdigit() else None
    when = "" if at is None else time.strftime(" at %Y-%m-%dT%H:%M:%SZ", time.gmtime(min(at, 1 << 35)))
    return f"a {mode[1] if mode else 'shutdown'}{when}"


@dataclass
class Hold:
    """Holds others off from `begin` to `end`, or the kernel's end."""

    sysfs: Sysfs
    sleep: Callable[[float], None]
    _handles: list[int] = field(default_factory=list)

    def begin(self) -> None:
        """Take the locks, and the request for a reboot aside.

        Raises `RefusedError` where a shutdown is scheduled, or packages are still being installed after `PACKAGES_S`.
        """
        for finding in check(Others(_scheduled(self.sysfs))):
            raise RefusedError(str(finding))
        self._handles = self._locks()
        _set_aside(self.sysfs)

    def end(self) -> None:
        """Let them go on; what cannot be put back now, is later."""
        with contextlib.suppress(KernelError):
            put_back(self.sysfs)
        package_lock.release(self._handles)
        self._handles = []

    def _locks(self) -> list[int]:
        for _try in range(int(PACKAGES_S / LOCK_PAUSE_S)):
            handles = package_lock.take(self.sysfs)
            if handles is not None:
                return handles
            self.sleep(LOCK_PAUSE_S)
        who = ", ".join(package_lock.busy(self.sysfs))
        raise RefusedError(
            f"packages are still being installed after {PACKAGES_S:g} s ({who}): wait for its end, and arm the update "
            "again"
        )


def _set_aside(sysfs: Sysfs) -> None:
    """Move the request for a reboot aside, within /run."""
    if sysfs.exists(REBOOT_REQUIRED):
        durable.make_folder(os.path.dirname(sysfs.real(REBOOT_HELD)))
        _move(sysfs, REBOOT_REQUIRED, REBOOT_HELD)


def put_back(sysfs: Sysfs) -> None:
    """Put the request for a reboot back, of a killed run, too."""
    if sysfs.exists(REBOOT_HELD):
        _move(sysfs, REBOOT_HELD, REBOOT_REQUIRED)


def _move(sysfs: Sysfs, source: str, target: str) -> None:
    try:
        os.rename(sysfs.real(source), sysfs.real(target))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError("rename", source, error.errno or 0) from error
