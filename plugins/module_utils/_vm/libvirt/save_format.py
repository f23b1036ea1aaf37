# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places and form of libvirt's images of saved domains."""

from __future__ import annotations

FOLDER = "/var/lib/libvirt/qemu/save"
COMPLETE, PARTIAL = b"LibvirtQemudSave", b"LibvirtQemudPart"
"""First bytes (src/qemu/qemu_saveimage.h).

`virsh start` deletes one with the second mark, and boots from the disks.
"""
HEADER, VERSION = 92, 2
"""Bytes of an image before its XML, and its form's number.

That follows the mark, and the XML's length follows that.
"""


def path(name: str) -> str:
    """Where libvirt looks for the image of a domain."""
    return f"{FOLDER}/{name}.save"


def kept_path(uuid: str) -> str:
    """The second name of an image, or its only one."""
    return f"{FOLDER}/{uuid}.kvmfleet"


def unkept_path(uuid: str) -> str:
    """Where a transient domain is saved to."""
    return f"{kept_path(uuid)}-saving"
