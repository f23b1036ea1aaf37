# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading all memory of a guest, for rehearsals.

QEMU writes it into a pipe that has a name (`pmemsave`, qapi/machine.json), so that it takes no space on a disk. Its
monitor has no other answers meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ..._model.errors import DeadlineError, KernelError, SriovError
from .pattern_guest import BEGIN, MIB, PAGE, page
from .qmp import Qmp

CHUNK = MIB


def read(qmp: Qmp, pipe: str, begin: int, length: int, deadline_s: float, take: Callable[[bytes], None]) -> None:
    """Hand physical memory of a guest to ``take``, in pieces.

    ``pipe``: path of the pipe, which is made and removed. Raises `SriovError` for what QEMU refuses, and for less than
    ``length`` bytes; `DeadlineError`.
    """
    with suppress(FileNotFoundError):
        os.unlink(pipe)
    try:
        os.mkfifo(pipe, 0o600)
        handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError("make the pipe", pipe, error.errno or 0) from error
    try:
        writer = _Writer(qmp, pipe, begin, length, deadline_s)
        _drain(handle, length, time.monotonic() + deadline_s, writer, take)
        writer.result()
    finally:
        os.close(handle)
        os.unlink(pipe)


class _Writer(threading.Thread):
    """The command, which ends when all is written."""

    def __init__(self, qmp: Qmp, pipe: str, begin: int, length: int, deadline_s: float) -> None:
        super().__init__(name="pmemsave", daemon=True)
        self._qmp, self._deadline_s = qmp, deadline_s
        self._arguments: dict[str, object] = {"val": begin, "size": length, "filename": pipe}
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._qmp.execute("pmemsave", self._deadline_s, **self._arguments)
        except Exception as error:
            self.error = error

    def result(self) -> None:
        self.join(self._deadline_s)
        if self.error is not None:
            raise self.error


def _drain(handle: int, length: int, until: float, writer: _Writer, take: Callable[[bytes], None]) -> None:
    done = 0
    while done < length:
        ended = not writer.is_alive()  # asked first: what it has written before is in the pipe
        if select.select([handle], [], [], 0.05)[0]:
            data = os.read(handle, CHUNK)
            take(data)
            done += len(data)
            ended = ended and not data
        if ended and done < length:
            writer.result()
            raise SriovError(f"QEMU has written {done} of {length} bytes of memory")
        if time.monotonic() > until:
            raise DeadlineError(f"QEMU has written {done} of {length} bytes of memory in time")


class Digest:
    """sha256 of a pattern guest's memory, and its wrong pages."""

    def __init__(self, seed: int) -> None:
        self._seed, self._hash, self._rest, self._next = seed, hashlib.sha256(), b"", 0
        self.wrong = 0

    def take(self, data: bytes) -> None:
        self._hash.update(data)
        self._rest += data
        whole = len(self._rest) // PAGE * PAGE
        for offset in range(0, whole, PAGE):
            if self._next * PAGE >= BEGIN and self._rest[offset : offset + PAGE] != page(self._next, self._seed):
                self.wrong += 1
            self._next += 1
        self._rest = self._rest[whole:]

    def hex(self) -> str:
        return self._hash.hexdigest()


def digest(qmp: Qmp, pipe: str, mib: int, seed: int, deadline_s: float) -> Digest:
    """Read all of a pattern guest's memory; raises as `read`."""
    found = Digest(seed)
    read(qmp, pipe, 0, mib * MIB, deadline_s, found.take)
    return found
