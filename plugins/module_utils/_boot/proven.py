# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that have shown that they boot, kept on the host.

A build is what `uname -v` says. One that runs by kexec later is known by this file to have booted through the firmware.
"""

from __future__ import annotations

import os

from .._model.boot_paths import PROVEN
from .._model.errors import KernelError, SriovError
from .._model.paths import RELEASE
from .._model.update_paths import VERSION
from .._readers.kernel_image import HEAD_BYTES, image_build
from .._system import durable
from .._system.sysfs import Sysfs

BY_FIRMWARE, ACCEPTED = "firmware", "accepted"
"""How it was proven: seen to boot, or by the operator's word."""
KEPT = 50
"""Builds that are kept, the last ones."""


def builds(sysfs: Sysfs) -> dict[str, dict[str, str]]:
    """Rows with ``release`` and ``how``, by build.

    None where the file is missing or damaged.
    """
    try:
        found = (durable.read_json(sysfs.real(PROVEN)) or {}).get("builds")
    except SriovError:
        return {}
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    return {str(row.get("build")): row for row in rows}


def add(sysfs: Sysfs, build: str, release: str, how: str) -> None:
    """Keep a build, durably; one that is there stays as it is."""
    known = builds(sysfs)
    if build in known:
        return
    known[build] = {"build": build, "release": release, "how": how}
    path = sysfs.real(PROVEN)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write_json(path, {"builds": list(known.values())[-KEPT:]})


def forget(sysfs: Sysfs, build: str) -> None:
    """Take a build's proof away, durably."""
    known = builds(sysfs)
    if known.pop(build, None) is not None:
        durable.write_json(sysfs.real(PROVEN), {"builds": list(known.values())})


def running(sysfs: Sysfs) -> tuple[str, str]:
    """(build, release) of the running kernel."""
    return sysfs.read(VERSION).strip(), sysfs.read(RELEASE)


def of_file(sysfs: Sysfs, path: str | None) -> str | None:
    """The build of a kernel's file, as uname -v has it.

    None where the file has none.
    """
    try:
        return image_build(sysfs.read_bytes(path or "", HEAD_BYTES))
    except KernelError:
        return None
