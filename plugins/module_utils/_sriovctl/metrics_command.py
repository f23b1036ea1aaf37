# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl metrics``: state and drift of the host, for Prometheus."""

from __future__ import annotations

import argparse

from .._model.errors import SriovError
from .._report.metrics import render
from .._report.metrics_facts import collect
from .._system.durable import write_text
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import invocation
from .output import answer, remark

MODE = 0o644


def metrics(arguments: argparse.Namespace) -> int:
    """Print the metrics, or replace the file of ``--output``."""
    text = _text(*invocation.machine(arguments))
    if arguments.output:
        write_text(arguments.output, text, MODE)
    else:
        answer(text.rstrip("\n"))
    return 0


def write_after_apply(sysfs: Sysfs, run: Run, file: str) -> None:
    """Write ``file``; a failure only goes to stderr.

    The exit status is that of the apply.
    """
    try:
        write_text(file, _text(sysfs, run), MODE)
    except SriovError as error:
        remark(f"sriovctl: no metrics: {error}")


def _text(sysfs: Sysfs, run: Run) -> str:
    """Metrics against the host document, whatever was applied last.

    What cannot be compared goes to stderr.
    """
    document, problem = invocation.declared(sysfs)
    facts = collect(sysfs, run, document, False if problem else None)
    for note in [problem] if problem else facts.notes:
        remark(f"sriovctl: note: {note}")
    return render(facts)
