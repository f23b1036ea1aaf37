# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl boot-guard``: judges a kernel that is tried once, at each boot."""

from __future__ import annotations

import argparse

from .._boot.guard import Guard
from .._live_update.kexec import Kexec
from .._system import process
from .._system.sysfs import Sysfs
from .._vm import candidates
from .output import remark


def guard(arguments: argparse.Namespace) -> int:
    """Judge this boot; only root's processes, or machines', count as VMs."""
    sysfs = Sysfs(arguments.root)

    def vms() -> list[str]:
        return [str(one) for one in candidates.candidates(sysfs) if one.trusted]

    return Guard(sysfs, process.run, vms, remark, Kexec(sysfs, process.run).unload).watch()
