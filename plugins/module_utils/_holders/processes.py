# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and their open files, as /proc shows them."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._system.sysfs import Sysfs

_GONE = (errno.ENOENT, errno.ESRCH)
# udev opens a node that has just appeared, or a symbolic link's target, for a moment while it applies its rules.
_PASSING = ("(udev-worker)", "systemd-udevd")
_ENDED = "ended meanwhile"


@dataclass(frozen=True)
class Process:
    """A process, and for a QEMU its VM."""

    pid: int
    command: str
    vm: str | None = None

    def __str__(self) -> str:
        process = f"process {self.pid} ({self.command})"
        return f"VM {self.vm}, {process}" if self.vm else process


def users(sysfs: Sysfs, nodes: Collection[str]) -> dict[str, Process]:
    """A process for each of the device ``nodes`` that is open.

    Reads /proc only when there are nodes.
    """
    found: dict[str, Process] = {}
    for pid, _path, target in open_files(sysfs) if nodes else ():
        if target in nodes and target not in found:
            process = describe(sysfs, pid)
            if process.command not in (*_PASSING, _ENDED):
                found[target] = process
    return found


def pids(sysfs: Sysfs) -> list[int]:
    """Ids of all processes, lowest first."""
    return sorted(int(name) for name in sysfs.names("/proc") if name.isdigit())


def open_files(sysfs: Sysfs) -> Iterator[tuple[int, str, str]]:
    """Open files as (process id, /proc/PID/fd/N, target).

    What goes away meanwhile is left out.
    """
    for pid in pids(sysfs):
        try:
            for number in sysfs.names(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{number}"
                target = sysfs.target(path)
                if target is not None:
                    yield pid, path, target
        except KernelError as error:
            if error.errno not in _GONE:
                raise


def namespaces(sysfs: Sysfs, kind: str) -> dict[str, int]:
    """The lowest process id of each namespace of ``kind``.

    ``kind`` is ``net`` or ``mnt``; the keys are what /proc/PID/ns/KIND points to. Processes that this user may not read
    are left out.
    """
    found: dict[str, int] = {}
    for pid in pids(sysfs):
        try:
            target = sysfs.target(f"/proc/{pid}/ns/{kind}")
        except KernelError as error:
            if error.errno not in (*_GONE, errno.EACCES):
                raise
            continue
        if target is not None:
            found.setdefault(target, pid)
    return found


def describe(sysfs: Sysfs, pid: int) -> Process:
    """Command name of a process, and its VM by QEMU's ``-name``."""
    try:
        arguments = sysfs.read(f"/proc/{pid}/cmdline").split("\0")
        command = sysfs.read(f"/proc/{pid}/comm")
    except KernelError:
        return Process(pid, _ENDED)
    parts = dict(zip(arguments, arguments[1:])).get("-name", "").split(",")
    named = [part.partition("=")[2] or part for part in parts if part.startswith("guest=") or "=" not in part]
    return Process(pid, command, named[0] if named and named[0] else None)
