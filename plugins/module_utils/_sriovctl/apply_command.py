# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl apply``: the host document, now or as PFs arrive at boot."""

from __future__ import annotations

import argparse

from .._document.document import HostDocument
from .._engine.converge import Report
from .._engine.last_apply import recorded
from .._model.errors import BadInputError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.update_guard import live_update_phase, refuse_during_update
from . import invocation
from .output import remark
from .plan_command import converge_as_asked, show_report


def apply(arguments: argparse.Namespace) -> int:
    """Bring the host to its document.

    With ``--boot``, nothing is done while a live update is under way.
    """
    sysfs, run = invocation.machine(arguments)
    if arguments.pf and not arguments.boot:
        raise BadInputError("--pf is for --boot; without it, all of the document is applied")
    phase = live_update_phase(sysfs) if arguments.boot else None
    if phase is not None:
        lines = [f"Nothing done: a live update is under way ({phase})."]
        invocation.show(arguments, {"changed": False, "phase": phase}, lines)
        return 0
    try:
        if arguments.pf:
            _apply(sysfs, run, arguments)
        else:
            recorded(sysfs, lambda: _apply(sysfs, run, arguments))
    finally:
        if arguments.metrics:
            _write_metrics(sysfs, run, arguments.metrics)
    return 0


def _apply(sysfs: Sysfs, run: Run, arguments: argparse.Namespace) -> None:
    document = invocation.read_document(sysfs, arguments.file)
    if arguments.boot:
        _apply_at_boot(sysfs, run, arguments, document)
        return
    refuse_during_update(sysfs)
    _show(arguments, converge_as_asked(arguments, sysfs, run, document))


def _apply_at_boot(sysfs: Sysfs, run: Run, arguments: argparse.Namespace, document: HostDocument) -> None:
    """Bring PFs to the document as they arrive.

    As text, each report is printed at once; as JSON, one for all.
    """
    from .boot_apply import BootApply, merged

    def converge(part: HostDocument) -> Report:
        return converge_as_asked(arguments, sysfs, run, part)

    def show(report: Report) -> None:
        reports.append(report)
        if not arguments.json:
            _show(arguments, report)

    def log(text: str) -> None:
        remark(f"sriovctl: {text}")

    reports: list[Report] = []
    BootApply(sysfs, run, converge, show, log, arguments.pf).apply(document, arguments.wait)
    if arguments.json or not reports:
        _show(arguments, merged(reports or [converge(HostDocument())]))


def _show(arguments: argparse.Namespace, report: Report) -> None:
    show_report(arguments, report, f"Done in {report.seconds:.3f} s.")


def _write_metrics(sysfs: Sysfs, run: Run, file: str) -> None:
    from . import metrics_command

    metrics_command.write_after_apply(sysfs, run, file)
