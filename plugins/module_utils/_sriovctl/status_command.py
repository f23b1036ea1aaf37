# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl status``: PFs and VFs of this host."""

from __future__ import annotations

import argparse
import os
import sys

from .._report import info, status_text, terminal
from .._report import status as _status
from . import invocation


def status(arguments: argparse.Namespace) -> int:
    """Print all PFs, or those named and their VFs."""
    sysfs, run = invocation.machine(arguments)
    names = invocation.named(arguments)
    vfs = arguments.vfs or bool(names)
    extent = info.FULL if vfs or arguments.json else info.SUMMARY
    current = _status.read(sysfs, run, names, invocation.declared(sysfs), extent)
    paint = terminal.paint_for(sys.stdout, os.environ)
    invocation.show(arguments, current, status_text.status_lines(current, vfs=vfs, paint=paint))
    return 0
