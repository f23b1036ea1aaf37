# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that could write to VMs' images.

Known by their open files, as a name says nothing: the same guest may run under another one, from another unit, or its
image be served by `qemu-nbd`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Union

from .._holders.processes import Remote, open_files, pids
from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from . import candidates
from .images import UNCHECKED, Image, Key, key
from .vm_facts import VmFacts

Known = Union[Key, str]
"""A file by its device and number, or by its name."""
GONE = (-1, -1)
FLAGS = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)
"""Flags of an open file, octal (proc_pid_fdinfo(5))."""


def others(sysfs: Sysfs, found: Collection[Image], mine: Collection[int]) -> tuple[str, ...]:
    """Images that processes other than ``mine`` have open for writing, in words."""
    names = _names(sysfs, found)
    return _words(sysfs, names, writers(sysfs, names), mine)


def of_running(sysfs: Sysfs, vms: Collection[VmFacts]) -> dict[int, tuple[str, ...]]:
    """The same of running VMs, by process id.

    With one reading of all processes."""
    names = {vm.pid: _names(sysfs, vm.images) for vm in vms}
    found = writers(sysfs, {one for known in names.values() for one in known})
    return {pid: words for pid, known in names.items() if (words := _words(sysfs, known, found, (pid,)))}


def writers(sysfs: Sysfs, wanted: Collection[Known]) -> Mapping[Known, set[int]]:
    """Process ids by each wanted file that is open for writing.

    Nothing is asked of file systems of other hosts, whose server may not answer: their files are known by name. Dry
    starts of other preflights are left out.
    """
    found: dict[Known, set[int]] = {}
    remote = Remote(sysfs)
    for pid in pids(sysfs) if wanted else ():
        with suppress(KernelError):  # a process that cannot be read keeps no VM stopped
            for _pid, path, target in open_files(sysfs, [pid]):
                if not target.startswith("/"):
                    continue
                one = target if remote.has(pid, path) else _key(sysfs, path)
                if one in wanted and _writes(sysfs, path) and not candidates.is_dry_start(sysfs, pid):
                    found.setdefault(one, set()).add(pid)
    return found


def _names(sysfs: Sysfs, found: Collection[Image]) -> dict[Known, str]:
    return {one: image.name for image in found for one in _known(sysfs, image)}


def _words(
    sysfs: Sysfs, names: Mapping[Known, str], found: Mapping[Known, set[int]], mine: Collection[int]
) -> tuple[str, ...]:
    pairs = {(name, pid) for one, name in names.items() for pid in found.get(one, ()) if pid not in mine}
    return tuple(f"{_process(sysfs, pid)} has its image {name} open for writing" for name, pid in sorted(pairs))


def _known(sysfs: Sysfs, image: Image) -> list[Known]:
    """How an image's open files are known; empty once it is gone."""
    path = sysfs.real(image.name)
    one = _key(sysfs, image.name) if image.kind != UNCHECKED else GONE
    return [] if one == GONE else [one, os.path.realpath(path)]


def _key(sysfs: Sysfs, path: str) -> Key:
    try:
        return key(os.stat(sysfs.real(path)))
    except OSError:
        return GONE


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
