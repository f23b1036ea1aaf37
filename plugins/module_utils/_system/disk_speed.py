# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of a disk, measured beside whatever else runs there.

The file that is written has no name, so nothing stays whatever ends the measurement.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from .._model.errors import KernelError

MIB = 1 << 20
CHUNK = 4 * MIB
PAGE = 4096
"""A multiple of every disk's block, as O_DIRECT demands (open(2))."""
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
WHO_PROCESS, LOWEST = 1, (2 << 13) | 7
"""ioprio_set(2): this thread; best effort, level 7.

The idle class may wait for ever on a busy disk.
"""


@dataclass(frozen=True)
class Speed:
    """Speeds in MiB/s of ``mib`` MiB; ``direct``: without the page cache."""

    write_mib_s: float
    read_mib_s: float
    mib: int
    direct: bool


def measure(folder: str, mib: int, longest_s: float, clock: Callable[[], float] = time.monotonic) -> Speed:
    """Write at most ``mib`` MiB into a folder, sync and read them.

    Writing ends early after ``longest_s`` seconds, reading too. Raises `KernelError`.
    """
    lower_priority()
    try:
        handle, direct = _open(folder)
    except OSError as error:
        raise KernelError("create a file in", folder, error.errno or 0) from error
    try:
        with mmap.mmap(-1, CHUNK) as buffer:  # anonymous memory is aligned to pages
            buffer.write(os.urandom(CHUNK))
            written, write_s = _write(handle, buffer, mib * MIB, longest_s, clock)
            if not direct:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            read, read_s = _read(handle, buffer, written, longest_s, clock)
    except OSError as error:
        raise KernelError("measure the disk of", folder, error.errno or 0) from error
    finally:
        os.close(handle)
    return Speed(round(written / MIB / write_s, 1), round(read / MIB / read_s, 1), written // MIB, direct)


def lower_priority() -> None:
    """Let others' I/O go first, where the disk's scheduler heeds that."""
    number = IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(ctypes.c_long(number), WHO_PROCESS, 0, LOWEST)


def _open(folder: str) -> tuple[int, bool]:
    """(descriptor of a file without a name, whether it is direct)."""
    handle, path = tempfile.mkstemp(prefix=".rehearsal-", dir=folder)
    try:
        try:
            direct = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # file systems without O_DIRECT
                raise
            return os.dup(handle), False
        return direct, True
    finally:
        os.close(handle)
        os.unlink(path)


def _write(
    handle: int, buffer: mmap.mmap, size: int, longest_s: float, clock: Callable[[], float]
) -> tuple[int, float]:
    busy, done = 0.0, 0
    while done < size and (done == 0 or busy < longest_s):
        for page in range(0, CHUNK, PAGE):  # no two pages are the same, for disks that look for that
            struct.pack_into("=Q", buffer, page, done + page)
        begin = clock()
        done += os.pwrite(handle, buffer, done)
        busy += clock() - begin
    begin = clock()
    os.fsync(handle)
    return done, max(busy + clock() - begin, 1e-6)


def _read(handle: int, buffer: mmap.mmap, size: int, longest_s: float, clock: Callable[[], float]) -> tuple[int, float]:
    begin, done = clock(), 0
    while done < size and (done == 0 or clock() - begin < longest_s):
        count = os.preadv(handle, [buffer], done)
        if count == 0:
            raise OSError(errno.EIO, "the file is shorter than it was written")
        done += count
    return done, max(clock() - begin, 1e-6)
