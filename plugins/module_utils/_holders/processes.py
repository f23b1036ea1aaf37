# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes and their open files, as /proc shows them."""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import PCI_ADDRESS
from .._system.sysfs import Sysfs
from . import mountinfo

_GONE = (errno.ENOENT, errno.ESRCH)
# udev opens a node that has just appeared, or a symbolic link's target, for a moment while it applies its rules.
_PASSING = ("(udev-worker)", "systemd-udevd")
_ENDED = "ended meanwhile"
_RESOURCE = re.compile(rf"/({PCI_ADDRESS})/resource\d+(?:_wc)?$", re.ASCII)
"""Registers of a PCI device, which programs map without any driver (drivers/pci/pci-sysfs.c)."""
_MOUNT = re.compile(r"^mnt_id:\s*(\d+)$", re.MULTILINE)
_FAR = re.compile(r"nfs|cifs|smb|ceph|9p|fuse|lustre|gluster|afs|gpfs|beegfs")
"""Beginnings of the types of file systems that others answer for."""


@dataclass(frozen=True)
class Process:
    """A process, and for a QEMU its VM."""

    pid: int
    command: str
    vm: str | None = None

    def __str__(self) -> str:
        process = f"process {self.pid} ({self.command})"
        return f"VM {self.vm}, {process}" if self.vm else process


def users(sysfs: Sysfs, numbers: Collection[str], devices: Collection[str] = ()) -> dict[str, Process]:
    """A process for each of the device ``numbers`` that is open (`Sysfs.device_number`).

    And for each PCI address of ``devices`` that has a resource file in /sys open. Reads /proc only when it has to.
    """
    found: dict[str, Process] = {}
    remote = Remote(sysfs)
    for pid, path, target in open_files(sysfs) if numbers or devices else ():
        if not target.startswith("/"):
            continue  # sockets, pipes and the like
        resource = _RESOURCE.search(target)
        key = resource.group(1) if resource else None if remote.has(pid, path) else sysfs.device_number(path)
        if key is not None and key not in found and (key in devices if resource else key in numbers):
            process = describe(sysfs, pid)
            if process.command not in (*_PASSING, _ENDED):
                found[key] = process
    return found


class Remote:
    """Open files on file systems of others, which may not answer.

    Nothing is asked of those: a process would wait as long as the server is away.
    """

    def __init__(self, sysfs: Sysfs) -> None:
        self._sysfs = sysfs
        self._mounts: dict[str, frozenset[str]] = {}

    def has(self, pid: int, path: str) -> bool:
        """Whether an open file of a process is on one."""
        mounts = self._of(pid)
        return bool(mounts) and _matched(_MOUNT, self._text(path.replace("/fd/", "/fdinfo/"))) in mounts

    def _of(self, pid: int) -> frozenset[str]:
        """Numbers of the mounts of these in a process's namespace (proc(5))."""
        try:
            namespace = self._sysfs.target(f"/proc/{pid}/ns/mnt") or str(pid)
        except KernelError:
            namespace = str(pid)
        if namespace not in self._mounts:
            path = f"/proc/{pid}/mountinfo"
            mounts = mountinfo.rows(path, self._text(path))
            self._mounts[namespace] = frozenset(mount.number for mount in mounts if _FAR.match(mount.kind))
        return self._mounts[namespace]

    def _text(self, path: str) -> str:
        try:
            return self._sysfs.read(path)
        except KernelError:
            return ""


def _matched(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1) if found else ""


def pids(sysfs: Sysfs) -> list[int]:
    """Ids of all processes, lowest first."""
    return sorted(int(name) for name in sysfs.names("/proc") if name.isdigit())


def open_files(sysfs: Sysfs, among: Collection[int] | None = None) -> Iterator[tuple[int, str, str]]:
    """Open files as (process id, /proc/PID/fd/N, target).

    Of all processes, or those ``among`` them. What goes away meanwhile is left out.
    """
    for pid in pids(sysfs) if among is None else among:
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
