# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock of acts on a live update: one at a time.

Arming, saving, resuming, restoring by hand and forgetting are such acts. The lock is flock(2): it ends with its
process, also by a kexec; what must survive that is the reservation.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .._model.deadlines import LOCK_PAUSE_S
from .._model.errors import BusyError, KernelError
from .._model.update_deadlines import ACT_LOCK_S
from .._model.update_paths import LIVE_UPDATE_LOCK
from .._system.sysfs import Sysfs

_COMMAND = 200
"""The most characters of a command line to keep."""


@contextmanager
def held(sysfs: Sysfs, wait_s: float = ACT_LOCK_S) -> Iterator[None]:
    """Hold the lock; `BusyError` names who has it after ``wait_s`` seconds."""
    until, handle = time.monotonic() + wait_s, _open(sysfs)
    try:
        while not _taken(handle):
            if time.monotonic() >= until:
                raise BusyError(
                    f"{_who(handle)} acts on this host's live update and has not ended within {wait_s:g} s: wait for "
                    "its end, then try again"
                )
            time.sleep(LOCK_PAUSE_S)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {' '.join(sys.argv)[:_COMMAND]}".encode(errors="replace"), 0)
        yield
    finally:
        os.close(handle)


def _open(sysfs: Sysfs) -> int:
    path = sysfs.real(LIVE_UPDATE_LOCK)
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise KernelError("open", LIVE_UPDATE_LOCK, error.errno or 0) from error


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise KernelError("lock", LIVE_UPDATE_LOCK, error.errno or 0) from error
    return True


def _who(handle: int) -> str:
    pid, _blank, command = os.pread(handle, 4096, 0).decode(errors="replace").partition(" ")
    return f"process {pid} ('{command}')" if pid else "another process"
