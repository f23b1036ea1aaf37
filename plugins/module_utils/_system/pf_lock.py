# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of PFs, so that one run at a time changes each.

A run locks a PF from the reading that the plan is made from to its last reading. The lock is flock(2) on a file: the
kernel releases it when the run ends, whatever ends it. Programs that a run starts do not inherit its descriptor, nor
does a writer process that it leaves behind in the kernel (Python opens files with O_CLOEXEC, PEP 446). Files stay: one
that is deleted could be locked by two.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterable, Iterator

from .._model.deadlines import LOCK_PAUSE_S, LOCK_S
from .._model.errors import BusyError, KernelError, RefusedError
from .._model.paths import PF_LOCKS
from .sysfs import Sysfs

_COMMAND = 200
"""The most characters of a command line to keep."""


@contextlib.contextmanager
def held(sysfs: Sysfs, addresses: Iterable[str], wait_s: float = LOCK_S) -> Iterator[list[str]]:
    """Lock these PFs for this run, one by one.

    In the order of their addresses, so that no two runs wait for each other. Raises `BusyError` naming the other run
    after ``wait_s`` seconds in all.
    """
    until, wanted = time.monotonic() + wait_s, sorted(set(addresses))
    with contextlib.ExitStack() as stack:
        for address in wanted:
            handle = _open(sysfs, address)
            stack.callback(os.close, handle)
            while not taken(handle, f"{PF_LOCKS}/{address}"):
                if time.monotonic() >= until:
                    raise BusyError(
                        f"{_who(sysfs, address)}; it has not ended within {wait_s:g} s. Nothing was changed: wait for "
                        "its end, or end it, and try again"
                    )
                time.sleep(LOCK_PAUSE_S)
            sign(handle)
        yield wanted


def busy(sysfs: Sysfs, addresses: Iterable[str] | None = None) -> list[str]:
    """Addresses of PFs that some run has locked.

    Among all PFs when ``addresses`` is None.
    """
    known = sysfs.names(PF_LOCKS)
    mine = known if addresses is None else sorted(set(known).intersection(addresses))
    return [address for address in mine if sysfs.locked(f"{PF_LOCKS}/{address}")]


def refuse_busy(sysfs: Sysfs, addresses: Iterable[str]) -> None:
    """Raise `RefusedError` for PFs that some run has locked, without waiting."""
    if found := busy(sysfs, addresses):
        raise RefusedError(f"{'; '.join(_who(sysfs, one) for one in found)}; wait for its end, or end it")


def _open(sysfs: Sysfs, address: str) -> int:
    from . import durable  # late: plans lock nothing

    folder = f"{sysfs.root}{PF_LOCKS}"
    try:
        durable.make_folder(folder)
        return durable.open_own(f"{folder}/{address}")
    except OSError as error:
        raise KernelError("open", f"{PF_LOCKS}/{address}", error.errno or 0) from error


def taken(handle: int, path: str) -> bool:
    """Whether this call has locked an open file; never waits."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise KernelError("lock", path, error.errno or 0) from error
    return True


def sign(handle: int) -> None:
    """Write process, time and command into a lock file, if possible.

    People alone read it, so a failure is ignored.
    """
    command = " ".join(sys.argv)[:_COMMAND] or sys.executable
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {time.time():.3f} {command}".encode(errors="replace"), 0)


def holder(sysfs: Sysfs, path: str) -> tuple[str, float] | None:
    """(process in words, seconds since it signed) of a lock file.

    None when nobody could sign it.
    """
    from .process import where  # late, as it is rarely needed

    try:
        pid, since, command = sysfs.read(path).split(" ", 2)
        seconds = max(0.0, time.time() - float(since))
        return f"process {int(pid)} ({where(int(pid))}), '{command}',", seconds
    except (KernelError, ValueError):
        return None


def _who(sysfs: Sysfs, address: str) -> str:
    found = holder(sysfs, f"{PF_LOCKS}/{address}")
    if found is None:
        return f"PF {address}: another run is changing it"
    return f"PF {address}: {found[0]} has been changing it for {found[1]:.0f} s"
