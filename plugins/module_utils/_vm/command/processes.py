# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a manager's VMs, by their pid files.

A pid file alone proves nothing: numbers are used again. The process names the file in its command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from ..._holders.processes import open_files
from ..._model.errors import KernelError, SriovError
from ..._system.sysfs import Sysfs
from .. import images as _images
from ..candidates import trusted
from ..images import Image
from ..vm_commands import VmCommands, filled

NETWORK = re.compile(r"(?:^|[=,\"'])(rbd|iscsi|iser|nbd|gluster|nfs|ssh|https?|sheepdog)(?=[:\"'])")
"""Protocols by which QEMU reaches images itself, in its command line."""
INCOMING = ("-incoming", "-loadstate")
"""QEMU's options for a guest that is loaded; the second is Proxmox's."""
PATHS = re.compile(r"(?:^|[=:\"])(/[^,\"]+)")
"""Paths in a word of a command line."""
FLAGS = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)
NONE = ("/dev/shm/", "/memfd:", "/proc/", "/sys/", "/dev/hugepages")
"""Files that are memory, not images."""


def running(sysfs: Sysfs, commands: VmCommands) -> Iterator[tuple[str, int]]:
    """(name, pid) of each running VM of a manager."""
    folder, _slash, pattern = commands.pid_file.rpartition("/")
    before, after = pattern.split("{name}")
    for file in sorted(sysfs.names(folder)) if sysfs.exists(folder) else ():
        name = file[len(before) : len(file) - len(after)]
        if name and file == f"{before}{name}{after}":
            pid = find(sysfs, commands, name)
            if pid is not None:
                yield name, pid


def find(sysfs: Sysfs, commands: VmCommands, name: str) -> int | None:
    """Process id of one running VM, or None.

    A zombie has no command line, and is none.
    """
    path = filled([commands.pid_file], name=name)[0]
    try:
        pid = int(sysfs.read(path).strip()) if sysfs.exists(path) else 0
        return pid if pid > 0 and trusted(sysfs, pid) and _names(sysfs, pid, path) else None
    except (SriovError, ValueError):
        return None


def words(sysfs: Sysfs, pid: int) -> list[str]:
    """Command line of a process, empty once it is gone."""
    try:
        return sysfs.read(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")
    except KernelError:
        return []


def is_loaded(sysfs: Sysfs, pid: int) -> bool:
    """Whether a QEMU was started with a saved memory."""
    return any(word in INCOMING for word in words(sysfs, pid))


def _names(sysfs: Sysfs, pid: int, path: str) -> bool:
    own = {path, os.path.realpath(path), os.path.realpath(sysfs.real(path))}
    return any(word in own or os.path.realpath(word) in own for word in words(sysfs, pid) if word.startswith("/"))


def images(sysfs: Sysfs, pid: int, pid_file: str) -> tuple[Image, ...]:
    """Find the images that a process has open.

    Regular files and block devices that it reads; those on a network, which it reaches itself, by their protocol.
    """
    stable = _stable(sysfs, pid)
    files = _open(sysfs, pid, os.path.realpath(sysfs.real(pid_file)))
    names = dict.fromkeys(stable.get(_images.key_at(sysfs, name), name) for name in files)
    protocols = {match for word in words(sysfs, pid) for match in NETWORK.findall(word)}
    return (
        *(image for image in (_images.find(sysfs, name) for name in names) if image.kind != _images.UNCHECKED),
        *(_images.find(sysfs, f"{protocol}:of-process") for protocol in sorted(protocols)),
    )


def _stable(sysfs: Sysfs, pid: int) -> dict[_images.Key, str]:
    """Paths of block devices and files that keep their names.

    By the command line, or of /dev/mapper: numbers of /dev/dm-N move between boots.
    """
    mapped = [f"/dev/mapper/{name}" for name in sysfs.names("/dev/mapper")] if sysfs.exists("/dev/mapper") else []
    paths = [*mapped, *(path for word in words(sysfs, pid) for path in PATHS.findall(word))]
    return {_images.key_at(sysfs, path): path for path in paths if not path.startswith("/dev/dm-")}


def replaced(sysfs: Sysfs, pid: int, found: Sequence[Image]) -> tuple[str, ...]:
    """Images that were deleted or replaced while open."""
    return tuple(_images.replaced(sysfs, pid, found))


def _open(sysfs: Sysfs, pid: int, pid_file: str) -> Iterator[str]:
    for _pid, path, target in open_files(sysfs, [pid]):
        if not target.startswith("/") or target.startswith(NONE) or target.endswith(" (deleted)"):
            continue
        if os.path.realpath(sysfs.real(target)) != pid_file and target != pid_file and _reads(sysfs, path):
            yield target


def _reads(sysfs: Sysfs, path: str) -> bool:
    """Whether a file is open for reading: logs are not."""
    try:
        match = FLAGS.search(sysfs.read(path.replace("/fd/", "/fdinfo/")))
    except KernelError:
        return False
    return match is not None and int(match.group(1), 8) & os.O_ACCMODE != os.O_WRONLY
