# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabled units that would start a VM's guest, under whatever name.

A boot starts them beside what restores the VM, which runs in a unit of another name now: whoever comes first has the
disks. They are known by what they start, a QEMU with the guest's name or one of its images, on their own command lines
or in the script that these name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..._model.errors import KernelError
from ..._system.sysfs import Sysfs
from . import own_unit

LINKS = (".wants", ".requires", ".upholds")
"""Ends of folders with links to units that others start (systemd.unit(5))."""
STARTERS = re.compile(r"\.(timer|path|socket)$")
"""Units that start the service of their name."""
QEMU = re.compile(r"""(?:^|[\s/"'=])(?:qemu-system-\w+|qemu-kvm|kvm)(?=[\s"']|$)""", re.MULTILINE)
COMMAND = re.compile(r"^\s*ExecStart(?:Pre|Post)?\s*=\s*(.*)$", re.MULTILINE)
PROGRAM = re.compile(r"""(?:^|[\s"'=])[-@:+!]*(/[^\s"']+)""")
LONGEST = 1 << 16
"""Bytes of a unit or script that are read."""
INSTANCE = re.compile(r"@(.*)(?=\.\w+$)")


@dataclass(frozen=True)
class Enabled:
    """An enabled service, its file, and all that its commands say."""

    name: str
    path: str
    text: str

    def starts(self, guest: str, images: Collection[str]) -> bool:
        """Whether it starts a QEMU of this name or with these images."""
        named = rf"""(?:-name[\s"',=]+(?:guest=)?|guest=){re.escape(guest)}"""
        wanted = "|".join([named, *(re.escape(image) for image in images)])
        return QEMU.search(self.text) is not None and re.search(rf"(?:{wanted})(?![\w./-])", self.text) is not None


def read(sysfs: Sysfs) -> list[Enabled]:
    """Read all services that a boot may start."""
    found = []
    for name in sorted({STARTERS.sub(".service", name) for name in _linked(sysfs)}):
        path = own_unit.file_of(sysfs, name) if name.endswith(".service") else None
        if path is not None:
            found.append(Enabled(name, path, _commands(sysfs, name, path)))
    return found


def _linked(sysfs: Sysfs) -> Iterator[str]:
    for folder in own_unit.FOLDERS:
        for group in sysfs.names(folder):
            if group.endswith(LINKS):
                yield from sysfs.names(f"{folder}/{group}")


def _commands(sysfs: Sysfs, name: str, path: str) -> str:
    """Commands of a service and its drop-ins, and scripts that they name.

    Specifiers of the instance are replaced.
    """
    folders = [f"{folder}/{name}.d" for folder in own_unit.FOLDERS]
    extra = [f"{folder}/{one}" for folder in folders for one in sysfs.names(folder) if one.endswith(".conf")]
    text = "\n".join(_text(sysfs, one) for one in (path, *extra)).replace("\\\n", " ")
    instance = INSTANCE.search(name)
    for specifier in ("%i", "%I"):
        text = text.replace(specifier, instance.group(1) if instance else "")
    commands = COMMAND.findall(text)
    scripts = {script for command in commands for script in PROGRAM.findall(command)[:3]}
    return "\n".join([*commands, *(_text(sysfs, script) for script in sorted(scripts) if not QEMU.search(script))])


def _text(sysfs: Sysfs, path: str) -> str:
    """A text file; empty for programs, pipes, and what cannot be read."""
    try:
        data = sysfs.read_bytes(path, LONGEST) if os.path.isfile(sysfs.real(path)) else b""
    except KernelError:
        return ""
    return "" if b"\0" in data else data.decode(errors="replace")
