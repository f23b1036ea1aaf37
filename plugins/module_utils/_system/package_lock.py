# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks of package managers, taken so that no package is changed meanwhile.

They are fcntl(2)'s, which the kernel takes back with the process. Sources: dpkg, lib/dpkg/dbmodify.c (lock-frontend,
which apt and dpkg take before anything else); rpm, lib/rpmlock.c.
"""

from __future__ import annotations

import fcntl
import os
import struct

from .._model.errors import KernelError
from .sysfs import Sysfs

FLOCK = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux."""
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/rpm/.rpm.lock")


def busy(sysfs: Sysfs) -> list[str]:
    """Locks that somebody has, with who; none is taken for it."""
    found = []
    for path in LOCKS:
        handle = _open(sysfs, path)
        if handle is not None:
            pid = _holder(handle, path)
            found += [] if pid is None else [f"{path} is locked by process {pid}"]
            os.close(handle)
    return found


def _holder(handle: int, path: str) -> int | None:
    """The process that has a lock, by F_GETLK of fcntl(2)."""
    asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        kind, *_rest, pid = FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    except OSError as error:
        raise KernelError("lock", path, error.errno or 0) from error
    return None if kind == fcntl.F_UNLCK else int(pid)


def take(sysfs: Sysfs) -> list[int] | None:
    """Take all locks that this host has; None where one is taken.

    They are held until the descriptors are closed, or the process ends.
    """
    handles: list[int] = []
    for path in LOCKS:
        handle = _open(sysfs, path)
        if handle is None:
            continue
        handles.append(handle)
        if not _taken(handle, path):
            release(handles)
            return None
    return handles


def release(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)


def _open(sysfs: Sysfs, path: str) -> int | None:
    """Open a lock file; None without one, as this creates none."""
    try:
        return os.open(sysfs.real(path), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelError("open", path, error.errno or 0) from error


def _taken(handle: int, path: str) -> bool:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: fcntl(2)
        return False
    except OSError as error:
        raise KernelError("lock", path, error.errno or 0) from error
    return True
