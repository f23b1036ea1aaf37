# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads of a QEMU, and the CPUs that they are pinned to.

A unit can pin a process as a whole; virtual CPUs and I/O threads are pinned one by one, from outside (taskset).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..._model.errors import KernelError, SriovError
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from .qmp import Qmp

ALLOWED = "Cpus_allowed_list:"


def read(qmp: Qmp) -> dict[str, int]:
    """Ids of threads, by what they are for."""
    cpus = {f"CPU {one['cpu-index']}": int(one["thread-id"]) for one in qmp.execute("query-cpus-fast")}
    return cpus | {f"I/O thread {one['id']}": int(one["thread-id"]) for one in qmp.execute("query-iothreads")}


def pinned(sysfs: Sysfs, pid: int, threads: Mapping[str, int]) -> dict[str, str]:
    """CPU lists of the threads that may run elsewhere than their process."""
    of_all = _allowed(sysfs, f"/proc/{pid}/status")
    lists = {name: _allowed(sysfs, f"/proc/{pid}/task/{thread}/status") for name, thread in threads.items()}
    return {name: cpus for name, cpus in lists.items() if cpus and cpus != of_all}


def pin(qmp: Qmp, run: Run, wanted: Mapping[str, str]) -> None:
    """Pin threads as those of the former QEMU were.

    Raises `SriovError` for one that is not there, or whose CPUs are not.
    """
    found = read(qmp) if wanted else {}
    for name, cpus in wanted.items():
        if name not in found:
            raise SriovError(f"its QEMU has no thread for {name}, which was pinned to CPUs {cpus}")
        run(["taskset", "--cpu-list", "--pid", cpus, str(found[name])])


def _allowed(sysfs: Sysfs, path: str) -> str:
    try:
        lines = sysfs.read(path).splitlines()
    except KernelError:
        return ""
    return next((line[len(ALLOWED) :].strip() for line in lines if line.startswith(ALLOWED)), "")
