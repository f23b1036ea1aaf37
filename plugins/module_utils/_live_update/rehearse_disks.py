# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring the disks that states of VMs go to, beside running VMs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from .._model.errors import BadInputError, RefusedError
from .._model.paths import LIVE_UPDATE
from .._model.update_deadlines import REHEARSE_S
from .._system import disk_speed, update_folder
from .._system.disk_speed import MIB, Speed
from .._system.sysfs import Sysfs
from . import rehearsal
from .machine import LiveHost
from .rehearsal import Disk, Rehearsal

SPARE_MIB = 256
"""MiB of a disk that a rehearsal leaves free."""
Measure = Callable[[str, int, float], Speed]


def run(
    host: LiveHost, mib: int, check_mode: bool, measure: Measure = disk_speed.measure
) -> tuple[Rehearsal, Rehearsal]:
    """Measure the disk of states; returns what was known, and is now.

    In check mode nothing is measured. Raises `RefusedError` while an update is under way, or without space.
    """
    _require_quiet(host)
    before = known(host)
    folder = host.sysfs.real(os.path.dirname(LIVE_UPDATE))
    _require_space(folder, mib)
    if check_mode:
        return before, before
    os.makedirs(folder, exist_ok=True)
    speed = measure(folder, mib, REHEARSE_S)
    disk = Disk(
        os.path.dirname(LIVE_UPDATE), speed.write_mib_s, speed.read_mib_s, max(1, speed.mib), speed.direct, host.now()
    )
    after = replace(before, disks={**before.disks, disk_of(host.sysfs, disk.folder): disk})
    rehearsal.store(host.sysfs, after)
    return before, after


def disk_of(sysfs: Sysfs, folder: str) -> str:
    """Source of a folder's file system (/proc/mounts)."""
    lines = [line.split() for line in sysfs.read("/proc/mounts").splitlines()]
    around = [line for line in lines if len(line) > 1 and f"{folder}/".startswith(f"{line[1].rstrip('/')}/")]
    return max(around, key=lambda line: len(line[1]))[0] if around else folder


def known(host: LiveHost) -> Rehearsal:
    """What was measured before; a damaged file is begun anew."""
    try:
        return rehearsal.load(host.sysfs)
    except BadInputError as error:
        host.log(str(error))
        return Rehearsal()


def _require_quiet(host: LiveHost) -> None:
    phase = (host.folder.read_status() or {}).get("phase")
    if phase is not None and phase not in update_folder.FINAL:
        raise RefusedError(
            f"a live update is in phase {phase} on this host and needs its disk: see `sriovctl live-update status`"
        )


def _require_space(folder: str, mib: int) -> None:
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize // MIB
    if free < mib + SPARE_MIB:
        raise RefusedError(
            f"writing {mib} MiB below {folder} would leave less than {SPARE_MIB} of {free} MiB free: free disk space, "
            "or measure with a smaller size_mib"
        )
