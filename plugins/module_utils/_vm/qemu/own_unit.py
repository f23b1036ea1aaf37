# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit files by which a boot could start a VM too.

systemd shows the transient unit of a VM that runs, also where somebody has put a file of that name on the disk since.
That counts after the kexec: an enabled one starts a second QEMU, and any keeps systemd-run from making the transient
unit in which the VM would come back.
"""

from __future__ import annotations

import os
import re

from ..._model.errors import RefusedError
from ..._system.sysfs import Sysfs

FOLDERS = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""Folders of units that a kexec leaves, unlike /run (systemd.unit(5))."""
TWICE = "its unit {} is defined in {} and could start it a second time"
FIX = "start it in a transient unit (systemd-run), as the update does"


def file_of(sysfs: Sysfs, unit: str) -> str | None:
    """File that defines a unit, itself or by its template, or None."""
    names = dict.fromkeys((unit, re.sub(r"@.*(?=\.[a-z]+$)", "@", unit)))
    paths = (f"{folder}/{name}" for folder in FOLDERS for name in names if name)
    return next((path for path in paths if os.path.lexists(sysfs.real(path))), None)


def require_none(sysfs: Sysfs, unit: str) -> None:
    """Raise `RefusedError` for a unit that a boot knows by now."""
    path = file_of(sysfs, unit)
    if path is not None:
        raise RefusedError(f"{TWICE.format(unit, path)}: remove that file, or {FIX}")
