# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that the kernel may block, each in a separate process.

While a VF is in use, removing it waits for its holder (drivers/vfio/vfio_main.c, vfio_unregister_group_dev): after a
signal in state D, where the writer can be neither cancelled nor killed. A thread would not do: a process is reaped only
after its last thread (kernel/exit.c, delay_group_leader), so this one's parent would wait with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from .._model.deadlines import WRITER_START_S
from .._model.errors import KernelError, SriovError
from . import process, writer_child

LOCK = writer_child.LOCK
QUEUED = "sriov_numvfs"
"""The file whose writers wait for each other on stock kernels.

Whatever the PF (drivers/pci/iov.c, pci_lock_rescan_remove).
"""


@dataclass(frozen=True)
class Answer:
    """The answer to a write: ``what`` came back with ``errno``.

    ``errno`` is 0 for success; ``what`` is None when nothing came back and ``pid`` was left waiting.
    """

    what: str | None
    errno: int
    pid: int
    seconds: float


class Writers:
    """Writer processes of one program.

    One that has answered is used again, one that is blocked never.
    """

    def __init__(self) -> None:
        self._idle: list[_Writer] = []
        self._queue = _Queue()
        self._lock = threading.Lock()

    def write(self, lock: str, path: str, value: str, seconds: float) -> Answer:
        """Write ``value`` to ``path`` while holding the file ``lock``.

        A process that has not answered after ``seconds`` goes on waiting, holds the lock until the kernel returns, and
        then ends. For a `QUEUED` file time begins anew with each answer to another such write, and is that of the one
        that may take longest: none is given up that only waits for its turn behind others of this program.
        """
        queue = self._queue if os.path.basename(path) == QUEUED else _Queue()
        with self._lock:
            writer = self._idle.pop() if self._idle else None
        writer = writer or _Writer()
        with queue.entered(seconds) as left:
            answer = writer.ask(lock, path, value, left)
        if answer.what is None:
            writer.leave()
        else:
            with self._lock:
                self._idle.append(writer)
        return answer

    def close(self) -> None:
        """End the idle processes."""
        with self._lock:
            ending, self._idle = self._idle, []
        for writer in ending:
            writer.end()


class _Queue:
    """Writes that may wait for each other in the kernel."""

    def __init__(self) -> None:
        self._under_way: list[float] = []
        self._moved = 0.0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def entered(self, seconds: float) -> Iterator[Callable[[], float]]:
        """Queue a write; yield a function for its remaining seconds.

        The write may take ``seconds``, and counts as blocked when none are left.
        """
        start, gave_up = time.monotonic(), False

        def left() -> float:
            nonlocal gave_up
            with self._lock:
                rest = max(start, self._moved) + max(self._under_way) - time.monotonic()
            gave_up = rest <= 0
            return rest

        with self._lock:
            self._under_way.append(seconds)
        try:
            yield left
        finally:
            with self._lock:
                self._under_way.remove(seconds)
                self._moved = self._moved if gave_up else time.monotonic()


class _Writer:
    """One writer process, in its own session, connected by two pipes.

    It has no other descriptor of this program.
    """

    def __init__(self) -> None:
        argv = [sys.executable, "-IS", "-c", process.source_of(writer_child), "kvmfleet-sriov-writer"]
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise KernelError("run", argv[0], error.errno or 0) from error
        self._questions, self._answers = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        ready_until = time.monotonic() + WRITER_START_S
        if self._line(lambda: ready_until - time.monotonic()) is None:
            self._process.kill()
            raise SriovError(f"a writer process ({argv[0]}) was not ready within {WRITER_START_S:g} s")

    def ask(self, lock: str, path: str, value: str, left: Callable[[], float]) -> Answer:
        start = time.monotonic()
        try:
            self._questions.write("\0".join((lock, path, value)).encode().hex().encode() + b"\n")
        except OSError as error:
            raise SriovError(f"writer process {self._process.pid} takes no more: {error.strerror}") from error
        line = self._line(left)
        took = time.monotonic() - start
        if line is None:
            return Answer(None, 0, self._process.pid, took)
        what, _space, number = line.partition(" ")
        return Answer(what, int(number), self._process.pid, took)

    def leave(self) -> None:
        """Close the process's pipes, so that it ends once the kernel returns."""
        self._questions.close()
        self._answers.close()

    def end(self) -> None:
        self.leave()
        self._process.wait()

    def _line(self, left: Callable[[], float]) -> str | None:
        """The process's next line, None when no seconds are ``left``.

        ``left`` is called again at the end of each wait.
        """
        poll = select.poll()
        poll.register(self._answers.fileno(), select.POLLIN)
        while not poll.poll(max(0.0, seconds := left()) * 1000):
            if seconds <= 0:
                return None
        line = os.read(self._answers.fileno(), 64)
        if not line:
            raise SriovError(f"writer process {self._process.pid} ended with status {self._process.wait()}")
        return line.decode().strip()
