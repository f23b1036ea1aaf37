# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record in /run of the host's last apply: end, duration, result.

`sriov_vf` is not recorded: it changes single VFs whatever is declared, so its result does not tell whether the host is
as declared.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from .._model.errors import BadInputError, KernelError, RefusedError, SriovError
from .._model.paths import LAST_APPLY
from .._system import durable
from .._system.sysfs import Sysfs

DONE, FAILED, REFUSED, BAD_INPUT = RESULTS = ("done", "failed", "refused", "bad_input")
_Result = TypeVar("_Result")


class LastApply(NamedTuple):
    """End, duration and result of an apply.

    ``time``: its end in seconds since the epoch. ``result``: one of `RESULTS`.
    """

    time: float
    seconds: float
    result: str


def recorded(sysfs: Sysfs, act: Callable[[], _Result]) -> _Result:
    """Run ``act`` and record its result.

    Returns and raises what ``act`` does; a failure to record is no error.
    """
    start, result = time.monotonic(), FAILED
    try:
        with _ended_at_once(lambda: _noted(sysfs, start, FAILED)):
            value = act()
        result = DONE
        return value
    except SriovError as error:
        result = {BadInputError: BAD_INPUT, RefusedError: REFUSED}.get(type(error), FAILED)
        raise
    finally:
        _noted(sysfs, start, result)


@contextlib.contextmanager
def _ended_at_once(note: Callable[[], None]) -> Iterator[None]:
    """End the process at once on SIGINT or SIGTERM, and record that.

    The next run undoes it (`journal`). Otherwise its threads would go on without its locks: Python only ends when they
    have.
    """

    def end(number: int, _frame: object) -> None:
        note()
        os._exit(128 + number)

    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)} if mine else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(sysfs: Sysfs, start: float, result: str) -> None:
    with contextlib.suppress(SriovError, OSError):
        _write(sysfs, LastApply(round(time.time(), 3), round(time.monotonic() - start, 6), result))


def read(sysfs: Sysfs) -> LastApply | None:
    """Record since this boot; None for a missing or unreadable one."""
    try:
        return LastApply(**(durable.read_json(sysfs.real(LAST_APPLY)) or {}))
    except (BadInputError, KernelError, TypeError):
        return None


def _write(sysfs: Sysfs, last: LastApply) -> None:
    path = sysfs.real(LAST_APPLY)
    durable.make_folder(os.path.dirname(path))
    durable.write_text(path, json.dumps(last._asdict()) + "\n", 0o644)
