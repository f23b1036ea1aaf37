# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that could be VMs, whoever started them.

A kexec ends them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from .._holders.processes import Remote, open_files, pids
from .._model.errors import KernelError
from .._system.sysfs import Sysfs
from . import dry_start

PROGRAM = re.compile(r"qemu-system-\w+|qemu-kvm|kvm")
"""Names of QEMU's programs; under TCG it has none of `HELD` open."""
HELD = re.compile(r"/dev/kvm|anon_inode:kvm-vm|/dev/vfio/(?!vfio$).+|/dev/iommu|/dev/vhost-vdpa-\d+")
"""Open files of VMs, and of services with passed-through devices."""
VMS = re.compile(r"/machine\.slice/machine-qemu(-|\\x2d)[^/]+\.scope(/.*)?")
"""Control groups of libvirt's VMs (systemd-machined).

Containers are below machine.slice too, and who is in one may run anything.
"""
USERS = "/user.slice"
"""Control group of what people start; systemd puts nothing else there (systemd.special(7))."""


@dataclass(frozen=True)
class Candidate:
    """A process that could be a VM.

    ``started`` in clock ticks since boot (proc(5)); ``program`` without its folder; ``holds``: open files of `HELD`.
    ``trusted``: root's, or libvirt's VM; no other person can make one.
    """

    pid: int
    started: int
    program: str
    unit: str
    holds: tuple[str, ...]
    trusted: bool

    def __str__(self) -> str:
        held = f", has {', '.join(self.holds)} open" if self.holds else ""
        return f"process {self.pid} ({self.program}, {self.unit or 'no unit'}{held})"


def candidates(sysfs: Sysfs, among: Collection[int] | None = None) -> list[Candidate]:
    """Find processes by their open files and, for QEMU, by their program.

    Of all processes, or those ``among`` them. Those that end meanwhile are left out.
    """
    holds: dict[int, set[str]] = {}
    remote = Remote(sysfs)
    for pid, path, target in open_files(sysfs, among):
        if HELD.fullmatch(target) and _is_it(sysfs, remote, pid, path, target):
            holds.setdefault(pid, set()).add(target)
    every = pids(sysfs) if among is None else among
    wanted = [pid for pid in every if pid in holds or PROGRAM.fullmatch(program(sysfs, pid))]
    wanted = [pid for pid in wanted if not is_dry_start(sysfs, pid)]
    found = (_read(sysfs, pid, holds.get(pid, ())) for pid in wanted)
    return [one for one in found if one is not None]


def _is_it(sysfs: Sysfs, remote: Remote, pid: int, path: str, target: str) -> bool:
    """Whether an open file is the device that its name says.

    In namespaces of their own people give any file any name, which would stop every update of a host.
    """
    if not target.startswith("/"):
        return True
    number = None if remote.has(pid, path) else sysfs.device_number(path)
    return number is not None and number == sysfs.device_number(target)


def strangers(
    sysfs: Sysfs, known: Collection[tuple[int, int]], among: Collection[int] | None = None
) -> list[Candidate]:
    """Find candidates other than the ``known`` processes, by id and start."""
    return [one for one in candidates(sysfs, among) if (one.pid, one.started) not in known]


def in_the_way(found: Collection[Candidate], host_services: Collection[str]) -> list[Candidate]:
    """Of strangers, those that must not be ended by a kexec.

    Not in the way: services that are declared, and programs of people that only look like a VM. Else anybody could stop
    every update.
    """
    return [one for one in found if one.unit not in host_services and (one.trusted or one.holds)]


def _read(sysfs: Sysfs, pid: int, holds: Collection[str]) -> Candidate | None:
    try:
        name, group = program(sysfs, pid), control_group(sysfs, pid)
        return Candidate(pid, started(sysfs, pid), name, unit(group), tuple(sorted(holds)), trusted(sysfs, pid))
    except (KernelError, ValueError, IndexError):
        return None


def trusted(sysfs: Sysfs, pid: int) -> bool:
    """Whether a process is root's, or a VM of libvirt."""
    return user(sysfs, pid) == 0 or VMS.fullmatch(control_group(sysfs, pid)) is not None


def is_dry_start(sysfs: Sysfs, pid: int) -> bool:
    """Whether a process is a dry start, as of another preflight.

    Root's alone: whoever else calls itself so is a candidate like any other.
    """
    try:
        return f"\0-name\0guest={dry_start.NAME}\0" in sysfs.read(f"/proc/{pid}/cmdline") and user(sysfs, pid) == 0
    except KernelError:
        return False


def program(sysfs: Sysfs, pid: int) -> str:
    """Name of a process's program.

    Empty for a process that has gone, or a kernel thread. A package upgrade makes it ``... (deleted)``.
    """
    try:
        return (sysfs.link(f"/proc/{pid}/exe") or "").replace(" (deleted)", "")
    except KernelError:
        return ""


def started(sysfs: Sysfs, pid: int) -> int:
    """Start of a process in clock ticks since boot.

    With its id it names a process for good. Field 22 of /proc/PID/stat; the name before may have blanks and
    brackets. Raises `KernelError`, or `ValueError` and `IndexError` for what is no such file.
    """
    return int(sysfs.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])


def user(sysfs: Sysfs, pid: int) -> int:
    """User id of a process, real or effective, whichever is no root.

    -1 when it is unknown.
    """
    match = re.search(r"^Uid:\s+(\d{1,10})\s+(\d{1,10})", sysfs.read(f"/proc/{pid}/status"), re.MULTILINE)
    return max(int(match.group(1)), int(match.group(2))) if match else -1


def control_group(sysfs: Sysfs, pid: int) -> str:
    """Control group of a process, version 2 or systemd's own."""
    lines = sysfs.read(f"/proc/{pid}/cgroup").splitlines() if sysfs.exists(f"/proc/{pid}/cgroup") else []
    return next((line.split(":", 2)[2] for line in lines if line.startswith(("0::", "1:name=systemd"))), "")


def unit(group: str) -> str:
    """The service or scope of a control group; empty for a person's."""
    names = [part for part in group.split("/") if part.endswith((".service", ".scope"))]
    return names[-1] if names and not group.startswith(USERS) else ""
