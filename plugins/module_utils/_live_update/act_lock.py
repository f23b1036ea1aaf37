# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock of acts on a live update: one at a time.

Arming, saving, resuming, restoring by hand and forgetting are such acts. The lock is flock(2), as that of a PF
(`pf_lock`): it ends with its process, also by a kexec; what must survive that is the reservation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .._model.deadlines import LOCK_PAUSE_S
from .._model.errors import BusyError, KernelError
from .._model.update_deadlines import ACT_LOCK_S
from .._model.update_paths import LIVE_UPDATE_LOCK
from .._system import durable, pf_lock
from .._system.sysfs import Sysfs
from . import hold_off


@contextmanager
def held(sysfs: Sysfs, wait_s: float = ACT_LOCK_S) -> Iterator[None]:
    """Hold the lock; `BusyError` names who has it after ``wait_s`` seconds."""
    until, handle = time.monotonic() + wait_s, _open(sysfs)
    try:
        while not pf_lock.taken(handle, LIVE_UPDATE_LOCK):
            _pause(sysfs, until, wait_s)
        pf_lock.sign(handle)
        hold_off.put_back(sysfs)  # of one that was killed
        yield
    finally:
        os.close(handle)


def wait_until_free(sysfs: Sysfs, wait_s: float = ACT_LOCK_S) -> None:
    """Wait for the end of another act, for check mode.

    Without a file or a lock of its own, as check mode writes nothing. Raises `BusyError` as `held`. An act may begin
    at any time after that: what is read then is a prediction.
    """
    until = time.monotonic() + wait_s
    while sysfs.exists(LIVE_UPDATE_LOCK) and sysfs.locked(LIVE_UPDATE_LOCK):
        _pause(sysfs, until, wait_s)


def _pause(sysfs: Sysfs, until: float, wait_s: float) -> None:
    if time.monotonic() >= until:
        who = pf_lock.holder(sysfs, LIVE_UPDATE_LOCK)
        raise BusyError(
            f"{who[0] if who else 'another process'} acts on this host's live update and has not ended within "
            f"{wait_s:g} s: wait for its end, then try again"
        )
    time.sleep(LOCK_PAUSE_S)


def _open(sysfs: Sysfs) -> int:
    path = sysfs.real(LIVE_UPDATE_LOCK)
    try:
        durable.make_folder(os.path.dirname(path))
        return durable.open_own(path)
    except OSError as error:
        raise KernelError("open", LIVE_UPDATE_LOCK, error.errno or 0) from error
