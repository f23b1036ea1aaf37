# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains of people's own libvirts (`qemu:///session`), which are refused.

Such a libvirt runs as its user and ends with the last connection to it: root cannot ask it, nor does it know VFs.
Whatever its QEMU says of itself is its user's word, so that only those count that a kexec must not end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._holders.processes import pids
from ..._model.errors import KernelError
from ..._system.sysfs import Sysfs
from ..._tools.domain_xml import UUID
from ..candidates import PROGRAM, candidates, in_the_way, program, user
from ..vm_facts import VmFacts
from .facts import Refused

FOLDER = re.compile(r"/libvirt/qemu/lib/domain-\d+-")
"""Its folder in the command line of such a QEMU.

That of the system's libvirt is /var/lib/libvirt/qemu/domain-ID-NAME (src/qemu/qemu_conf.c, virQEMUDriverConfigNew).
"""
NAME = re.compile(r"guest=([A-Za-z0-9._+-]{1,100})(,|$)")


def discover(sysfs: Sysfs, backend: str) -> Iterator[VmFacts]:
    """Find domains of sessions that a kexec must not end."""
    found = {pid: argv for pid in pids(sysfs) if (argv := _argv(sysfs, pid)) is not None}
    for one in in_the_way(candidates(sysfs, list(found)), ()) if found else ():
        argv = found[one.pid]
        match, uuid = NAME.match(_after(argv, "-name")), _after(argv, "-uuid")
        known = uuid if UUID.fullmatch(uuid) else "DOMAIN"
        try:
            who = _name(sysfs, user(sysfs, one.pid))
        except KernelError:
            continue
        detail = Refused(
            f"it is a domain of the libvirt of user {who} (qemu:///session), which nobody but that user can ask",
            f"have it shut down (as {who}: virsh -c qemu:///session shutdown {known}), or moved to qemu:///system",
        )
        name = match.group(1) if match else f"qemu-{one.pid}"
        yield VmFacts(name, backend, one.pid, one.started, "", detail, kept_elsewhere=True)


def _argv(sysfs: Sysfs, pid: int) -> list[str] | None:
    try:
        if not PROGRAM.fullmatch(program(sysfs, pid)):
            return None
        text = sysfs.read(f"/proc/{pid}/cmdline")
    except KernelError:
        return None
    return text.split("\0") if FOLDER.search(text) else None


def _after(argv: list[str], option: str) -> str:
    return next((value for word, value in zip(argv, argv[1:]) if word == option), "")


def _name(sysfs: Sysfs, number: int) -> str:
    """Name of a user, or the number of an unknown one."""
    rows = (line.split(":") for line in sysfs.read("/etc/passwd").splitlines())
    return next((row[0] for row in rows if len(row) > 2 and row[2] == str(number)), str(number))
