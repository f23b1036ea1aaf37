# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reboots that are none: those that start a loaded kernel instead.

systemd's shutdown(8) starts a kernel that is loaded for kexec in place of a reboot, and so does `systemctl reboot` of
newer versions (systemctl(1), SYSTEMCTL_SKIP_AUTO_KEXEC). Debian's kexec-tools do so too, or load one first
(/etc/default/kexec, LOAD_KEXEC). None of them meets the firmware, which is what a trial and its way back need.
"""

from __future__ import annotations

import re

from .._model.paths import KEXEC_LOADED
from .._system.sysfs import Sysfs

SETTINGS = "/etc/default/kexec"
REBOOT = (
    "env", "SYSTEMCTL_SKIP_AUTO_KEXEC=1", "SYSTEMCTL_SKIP_AUTO_SOFT_REBOOT=1", "systemctl", "reboot",
)  # fmt: skip
"""Reboots through the firmware."""


def is_loaded(sysfs: Sysfs) -> bool:
    return sysfs.exists(KEXEC_LOADED) and sysfs.read(KEXEC_LOADED).strip() == "1"


def problem(sysfs: Sysfs) -> str | None:
    """Why a reboot may not go through the firmware, or None."""
    if is_loaded(sysfs):
        return "a kernel is loaded for kexec, and a reboot may start that: unload it (`kexec --unload`)"
    text = sysfs.read(SETTINGS) if sysfs.exists(SETTINGS) else ""
    values = re.findall(r"^\s*LOAD_KEXEC=[\"']?(\w+)", text, re.MULTILINE)
    if values and values[-1].lower() in ("true", "yes", "1"):
        return f"{SETTINGS} has LOAD_KEXEC={values[-1]}: reboots start a kernel by kexec. Set it to false"
    return None
