# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of a writer process (`writer`).

It is started from this source, so it must not import its neighbours.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time

LOCK, WRITE = "lock", "write"
"""The failed part, in an answer."""


def main() -> None:
    """Carry out writes, one a line, until stdin ends.

    A line is the hex of lock, path and value, joined by NUL; its answer is "WHAT ERRNO".
    """
    _say("ready 0")
    for line in sys.stdin.buffer:
        lock, path, value = bytes.fromhex(line.decode()).decode().split("\0")
        _say(_carry_out(lock, path, value))


def _carry_out(lock: str, path: str, value: str) -> str:
    """Write once while holding a lock.

    The kernel releases the lock of a process that ends, whatever ends it.
    """
    what = LOCK
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()} {time.time():.3f} {value} {path}".encode(), 0)
            what = WRITE
            _write(path, value)
        finally:
            os.close(handle)
    except OSError as error:
        return f"{what} {error.errno}"
    return f"{what} 0"


def _write(path: str, value: str) -> None:
    target = os.open(path, os.O_WRONLY)
    try:
        os.write(target, value.encode())
    finally:
        os.close(target)


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    main()
