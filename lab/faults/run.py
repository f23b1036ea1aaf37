"""Run the faults that need a real kernel, on one emulated host.

A result is recorded when its case has ended, so a run that is interrupted goes on where it was.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection

from tests.faults import record
from tests.faults.record import LAB

from ..fleet import inventory, operations
from ..kernels import packages
from ..scenarios import demo
from . import case
from .case import FLEET
from .rows import ROWS, LabFault


def wanted(only: Collection[str], fresh: bool) -> list[LabFault]:
    """Rows whose names have a part of ``only``, without a valid result."""
    old = record.stale(LAB, {one.name: one for one in ROWS})
    named = [one for one in ROWS if not only or any(part in one.name for part in only)]
    return [one for one in named if fresh or one.name in old]


def faults(only: Collection[str] = (), fresh: bool = False, keep: bool = False) -> int:
    """Run rows without a valid result; number of failures."""
    rows = wanted(only, fresh)
    if not rows:
        print("lab faults: 0 failed, all have valid results")
        return 0
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(1))
    operations.build()
    (host,) = operations.up(FLEET)
    failed = 0
    try:
        kernel = packages.built("series")
        demo.playbooks(inventory.path(FLEET), demo.settings(kernel), "sriov", "kernel_deploy")
        for number, row in enumerate(rows, 1):
            result, begin = record.before(LAB, row), time.monotonic()
            why = case.run(host, row, kernel.release)
            failed += bool(why)
            result(row.name, not why)
            seconds = time.monotonic() - begin
            print(f"[{number}/{len(rows)}] {row.name}: {why or 'pass'} ({seconds:.0f} s)", flush=True)
    finally:
        if not keep:
            operations.down(FLEET)
    record.drop_unknown(LAB, {one.name for one in ROWS})
    print(f"lab faults: {len(rows) - failed} passed, {failed} failed", flush=True)
    return failed
