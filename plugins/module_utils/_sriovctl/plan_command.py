# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl plan``, and the parts that it shares with ``apply``."""

from __future__ import annotations

import argparse

from .._document.document import HostDocument
from .._engine.converge import Report, converge
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import invocation


def plan(arguments: argparse.Namespace) -> int:
    """Print the steps to the document; nothing is changed."""
    sysfs, run = invocation.machine(arguments)
    report = converge_as_asked(arguments, sysfs, run, invocation.read_document(sysfs, arguments.file), check=True)
    show_report(arguments, report, "Nothing was changed.")
    return 0


def converge_as_asked(
    arguments: argparse.Namespace, sysfs: Sysfs, run: Run, document: HostDocument, check: bool = False
) -> Report:
    """`converge` with what ``--force`` and ``--allow-disruptive`` allow."""
    force, disruptive = arguments.force, arguments.allow_disruptive
    return converge(sysfs, run, document, force=force, allow_disruptive=disruptive, check=check)


def show_report(arguments: argparse.Namespace, report: Report, changed: str) -> None:
    """Print steps and notes, and ``changed`` last where there are steps."""
    data = report.to_dict(arguments.full, arguments.diff)
    lines = [f"Note: {note}" for note in data["notes"]]
    if data["steps"]:
        from .._report.terminal import step_lines

        lines = [*step_lines(data["steps"]), *lines]
    invocation.show(arguments, data, [*lines, changed if report.plan.changed else "Nothing to do."])
