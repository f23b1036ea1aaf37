"""Slots for hosts at work, shared by the lab's runs.

They are shared by all runs of a machine. An emulated host waits for half of its time; with more than two of them on a
CPU they starve one another until they miss deadlines.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..paths import cache
from ..progress import say

COUNT = 2 * (os.cpu_count() or 1)
POLL_S = 0.5


@contextmanager
def slot(what: str) -> Iterator[None]:
    """Keep a slot while ``what`` works; waits until one is free.

    A slot is a lock of this process: the kernel gives it back when that ends.
    """
    folder = cache() / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    taken = _free(folder)
    if taken is None:
        say(f"{what} waits: {COUNT} hosts are at work")
    while taken is None:
        time.sleep(POLL_S)
        taken = _free(folder)
    try:
        yield
    finally:
        os.close(taken)


def _free(folder: os.PathLike[str]) -> int | None:
    """Lock a free slot; its open file, None where all are taken."""
    for number in range(COUNT):
        file = os.open(os.path.join(folder, str(number)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        os.close(file)
    return None
