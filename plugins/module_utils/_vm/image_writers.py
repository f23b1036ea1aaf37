# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever could write to VMs' images on this host.

Processes are known by their open files, as a name says nothing: the same guest may run under another one, from another
unit, or its image be served by `qemu-nbd`. The kernel uses images too (`kernel_users`), and so does whoever uses a
block device that is made of one.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Union

from .._holders.processes import Remote, open_files, pids
from .._model.errors import KernelError
from .._model.update_deadlines import FILES_S
from .._system.sysfs import Sysfs
from . import candidates
from .images import GONE, UNCHECKED, Image, Key, key_at
from .kernel_users import KernelUsers
from .vm_facts import VmFacts

Known = Union[Key, str]
"""A file by its device and number, or by its name."""
Open = Mapping[Known, Collection["tuple[int, str]"]]
"""Process id and /proc/PID/fd/N of each open file."""
FLAGS = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)
"""Flags of an open file, octal (proc_pid_fdinfo(5))."""


@dataclass
class OpenFiles:
    """Open files of all processes, read anew after `FILES_S`.

    VMs that are restored side by side share a reading, which takes a tenth of a second on a host with 100 of them.
    """

    _found: tuple[Open, KernelUsers] | None = None
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def others(self, sysfs: Sysfs, found: Collection[Image], mine: Collection[int]) -> tuple[str, ...]:
        """Images that others than the processes ``mine`` may write to, in words."""
        names = {one: image.name for image in found for one in _known(sysfs, image)}
        if not names:
            return ()
        files, kernel = self._read(sysfs)
        for image in found:
            for layer in kernel.devices.of(image):
                if layer.key != GONE:
                    names.setdefault(layer.key, f"{image.name} (/dev/{layer.name})")
        pairs = {
            (name, pid)
            for one, name in names.items()
            for pid, path in files.get(one, ())
            if pid not in mine and _writes(sysfs, path) and one in (key_at(sysfs, path), sysfs.target(path))
        }
        return tuple(
            f"{_process(sysfs, pid)} has its image {name} open for writing"
            for name, pid in sorted(pairs)
            if not candidates.is_dry_start(sysfs, pid)
        ) + tuple(words for image in found for words in kernel.of(image))

    def _read(self, sysfs: Sysfs) -> tuple[Open, KernelUsers]:
        with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = read(sysfs), KernelUsers.read(sysfs)
                self._until = time.monotonic() + FILES_S
            return self._found


def of_running(sysfs: Sysfs, vms: Collection[VmFacts]) -> dict[int, tuple[str, ...]]:
    """The same of running VMs, by process id."""
    files = OpenFiles()
    found = {vm.pid: files.others(sysfs, vm.images, (vm.pid,)) for vm in vms}
    return {pid: words for pid, words in found.items() if words}


def read(sysfs: Sysfs) -> Open:
    """Read the open files of all processes.

    Nothing is asked of file systems of other hosts, whose server may not answer: their files are known by name.
    """
    found: dict[Known, list[tuple[int, str]]] = {}
    remote = Remote(sysfs)
    for pid in pids(sysfs):
        with suppress(KernelError):  # a process that cannot be read keeps no VM stopped
            for _pid, path, target in open_files(sysfs, [pid]):
                if target.startswith("/"):
                    one = target if remote.has(pid, path) else key_at(sysfs, path)
                    found.setdefault(one, []).append((pid, path))
    return found


def _known(sysfs: Sysfs, image: Image) -> list[Known]:
    """How an image's open files are known; empty once it is gone."""
    one = key_at(sysfs, image.name) if image.kind != UNCHECKED else GONE
    return [] if one == GONE else [one, os.path.realpath(sysfs.real(image.name))]


def _writes(sysfs: Sysfs, path: str) -> bool:
    """Whether a file is open for writing; gone ones are not."""
    try:
        match = FLAGS.search(sysfs.read(path.replace("/fd/", "/fdinfo/")))
    except KernelError:
        return False
    return match is not None and int(match.group(1), 8) & os.O_ACCMODE != os.O_RDONLY


def _process(sysfs: Sysfs, pid: int) -> str:
    try:
        group = candidates.unit(candidates.control_group(sysfs, pid))
    except KernelError:
        group = ""
    return f"process {pid} ({candidates.program(sysfs, pid) or 'of no program'}, {group or 'no unit'})"
