# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt finds in place of an image, and refuses to start.

`virsh start` loads a managed save upon any disks, and boots from the disks where there is none: either may lose a
guest. An image whose XML is that of no domain makes it fail, the autostart of a boot too, and stays. With another mark,
or cut short, it would be deleted, and the domain booted (found with libvirtd 11.3).
"""

from __future__ import annotations

import errno
import struct

from ..._model.errors import KernelError
from ..._system import durable
from ..._system.sysfs import Sysfs
from .save_format import COMPLETE, HEADER, VERSION, path

WORDS = "saved by a live update: sriovctl live-update restore"
"""Type of the domain, which libvirt has in its error."""


def text(uuid: str, name: str) -> bytes:
    """The file's bytes, by which it is known again."""
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    xml = f"<domain type='{WORDS}'><name>{shown}</name><uuid>{uuid}</uuid></domain>".encode() + b"\0"
    return struct.pack("=16s2I", COMPLETE, VERSION, len(xml)).ljust(HEADER, b"\0") + xml


def put(sysfs: Sysfs, uuid: str, name: str) -> None:
    """Put it where libvirt looks, in place of whatever is there."""
    durable.write_bytes(sysfs.real(path(name)), text(uuid, name), 0o600)


def is_put(sysfs: Sysfs, uuid: str, name: str) -> bool:
    whole = text(uuid, name)
    try:
        return sysfs.read_bytes(path(name), len(whole) + 1) == whole
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        return False


def remove(sysfs: Sysfs, uuid: str, name: str) -> None:
    if is_put(sysfs, uuid, name):
        durable.remove(sysfs.real(path(name)))
