# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog's device, and a thread that feeds it.

Documentation/watchdog/watchdog-api.rst: any write feeds it, and one that
is closed after a ``V`` stops.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Callable

from .._model.errors import KernelError
from .._system.sysfs import Sysfs

SET_TIMEOUT = 0xC0045706
"""WDIOC_SETTIMEOUT (include/uapi/linux/watchdog.h)."""
PER_TIMEOUT = 4
"""Feedings per timeout."""


class Dog:
    """An open watchdog: from then on it runs.

    Raises `KernelError`, EBUSY when somebody else has it.
    """

    def __init__(self, sysfs: Sysfs, name: str) -> None:
        self.path = f"/dev/{name}"
        try:
            self._handle = os.open(sysfs.real(self.path), os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelError("open", self.path, error.errno or 0) from error

    def set_timeout(self, seconds: int) -> int:
        """Set the timeout; returns what the driver has made of it."""
        buffer = bytearray(struct.pack("i", seconds))
        try:
            fcntl.ioctl(self._handle, SET_TIMEOUT, buffer, True)
        except OSError as error:
            raise KernelError(
                f"set a timeout of {seconds} s with WDIOC_SETTIMEOUT", self.path, error.errno or 0
            ) from error
        return int(struct.unpack("i", bytes(buffer))[0])

    def feed(self) -> None:
        os.write(self._handle, b"\0")

    def release(self) -> None:
        """Stop it, and close."""
        try:
            os.write(self._handle, b"V")
        finally:
            self.close()

    def close(self) -> None:
        """Close it; it goes on, and somebody must feed it."""
        os.close(self._handle)


class Feeder:
    """A thread that feeds a watchdog while something moves.

    It feeds no more once nothing has moved for ``stall_s`` seconds.
    """

    def __init__(
        self, dog: Dog, timeout_s: float, stall_s: float, log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._dog, self._pause, self._stall, self._log, self._clock = dog, timeout_s / PER_TIMEOUT, stall_s, log, clock
        self._moved, self._over, self._lock, self._open = clock(), threading.Event(), threading.Lock(), True
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def moved(self) -> None:
        """Note progress."""
        self._moved = self._clock()

    def release(self) -> None:
        """Stop the watchdog, once; its thread ends."""
        self._over.set()
        with self._lock:
            if self._open:
                self._open = False
                try:
                    self._dog.release()
                except OSError as error:
                    self._log(f"{self._dog.path} was not stopped: {error.strerror}")

    def _run(self) -> None:
        hungry = False
        while not self._over.wait(self._pause):
            with self._lock:
                if not self._open:
                    return
                if self._clock() - self._moved <= self._stall:
                    self._feed()
                elif not hungry:
                    hungry = True
                    self._log(f"nothing has moved for {self._stall:g} s: {self._dog.path} is not fed any more")

    def _feed(self) -> None:
        try:
            self._dog.feed()
        except OSError as error:
            self._log(f"{self._dog.path} was not fed: {error.strerror}")
