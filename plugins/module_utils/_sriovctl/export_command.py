# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl export``: the current state of this host as a host document."""

from __future__ import annotations

import argparse
import json

from .._document.yaml_text import pfs_lines
from .._report.export import export as _export
from .._report.info import gather
from .._system import process
from . import invocation
from .output import answer, remark


def export(arguments: argparse.Namespace) -> int:
    """Print the document to stdout, what it cannot express to stderr."""
    sysfs, run = invocation.machine(arguments)
    names = invocation.named(arguments)
    pfs = gather(sysfs, run, names, properties=run is not process.refuse)
    found = _export(pfs, untouched=bool(names))
    unread = ["properties of VFs cannot be read below another root"] if run is process.refuse else []
    for notice in (*unread, *found.notices):
        remark(f"sriovctl: note: {notice}")
    text = pfs_lines(found.document) if arguments.yaml else [json.dumps(found.document.to_dict(), indent=2)]
    answer("\n".join(text))
    return 0
