# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the last apply."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import last_apply
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import paths
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    DeadlineError,
    RefusedError,
    SriovError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

# error, result
ENDS = [
    (SriovError("x"), "failed"),
    (DeadlineError("x"), "failed"),
    (RefusedError("x"), "refused"),
    (BadInputError("x"), "bad_input"),
    (KeyError("x"), "failed"),
]


@pytest.mark.parametrize(("error", "result"), ENDS)
def test_failures(tmp_path: Path, error: Exception, result: str) -> None:
    def act() -> None:
        raise error

    with pytest.raises(type(error)):
        last_apply.recorded(Sysfs(str(tmp_path)), act)
    last = last_apply.read(Sysfs(str(tmp_path)))
    assert last
    assert last.result == result


def test_success(tmp_path: Path) -> None:
    sysfs = Sysfs(str(tmp_path))
    assert last_apply.read(sysfs) is None
    before = time.time()

    def act() -> int:
        time.sleep(0.02)
        return 7

    assert last_apply.recorded(sysfs, act) == 7
    last = last_apply.read(sysfs)
    assert last
    assert last.result == "done"
    assert before - 1 < last.time < time.time() + 1
    assert 0.02 <= last.seconds < 20


def test_a_place_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    assert last_apply.recorded(Sysfs(str(tmp_path)), lambda: 7) == 7
    (tmp_path / "run").unlink()
    os.makedirs(tmp_path / "run/kvmfleet-sriov/last_apply.json")
    assert last_apply.recorded(Sysfs(str(tmp_path)), lambda: 7) == 7


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"time": 1, "seconds": 2, "result": "done", "more": 3}'])
def test_a_foreign_file_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / paths.LAST_APPLY[1:]
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert last_apply.read(Sysfs(str(tmp_path))) is None


def _signalled_and_busy(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_that_is_noted(tmp_path: Path, number: int) -> None:
    """A signal ends the run at once, whatever its threads do.

    The previous handlers are back after a run that comes to its end.
    """
    sysfs, handlers = Sysfs(str(tmp_path)), [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    pid = os.fork()
    if pid == 0:
        try:
            with ThreadPoolExecutor() as pool:
                last_apply.recorded(sysfs, lambda: pool.submit(_signalled_and_busy, number).result())
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + number
    last = last_apply.read(sysfs)
    assert last
    assert (last.result, last.seconds < 5) == ("failed", True)
    last_apply.recorded(sysfs, lambda: None)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_everybody_may_read_it(tmp_path: Path) -> None:
    sysfs = Sysfs(str(tmp_path))
    last_apply.recorded(sysfs, lambda: None)
    assert os.stat(sysfs.real(paths.LAST_APPLY)).st_mode & 0o777 == 0o644
