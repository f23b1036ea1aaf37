# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl resume``: second half of a live update, run at every boot."""

from __future__ import annotations

import argparse

from .._model.paths import COMMAND_LINE, UPDATE_PARAMETER
from .._system.sysfs import Sysfs
from .output import remark


def resume(arguments: argparse.Namespace) -> int:
    """Resume a live update, if this kernel was started for one.

    Returns 0 also for an ordinary boot, where nothing of the live update is imported.
    """
    words = Sysfs(arguments.root).read(COMMAND_LINE).split()
    if not any(word.startswith(f"{UPDATE_PARAMETER}=") for word in words):
        remark("no live update on the kernel command line: nothing to resume")
        return 0
    from . import live_update_command

    return live_update_command.resume(arguments)
