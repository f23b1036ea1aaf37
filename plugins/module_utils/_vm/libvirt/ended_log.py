# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a transient domain has ended, by the log of its QEMU.

libvirt itself forgets such a domain with its end.
"""

from __future__ import annotations

import os
import re

from ..._model.errors import KernelError
from ..._system.sysfs import Sysfs
from ..._tools.virsh import SHUT_OFF

LINE = re.compile(rb"^[-0-9:. +T]{10,40}: shutting down, reason=([a-z -]{1,30})$", re.MULTILINE)
"""What libvirt writes there (src/qemu/qemu_process.c, qemuProcessStop)."""
READ = 64 << 10


def reason(sysfs: Sysfs, name: str) -> str:
    """State of a domain that is gone, with its reason in brackets."""
    path = f"/var/log/libvirt/qemu/{name}.log"
    try:
        with open(sysfs.real(path), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - READ))
            found = LINE.findall(file.read(READ))
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    return f"{SHUT_OFF} ({found[-1].decode() if found else 'unknown'})"
