"""Run the rows that need a real kernel, on one emulated host.

Faults of live updates, then kernels that are tried. A result is recorded when its row has ended, so a run that is
interrupted goes on where it was.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Mapping

from tests.faults import record
from tests.faults.record import LAB, TRIAL

from ..fleet import inventory, operations
from ..kernels import packages
from ..machine.host import Running
from ..scenarios import demo
from . import case, prepare, trial
from .case import FLEET
from .rows import ROWS, LabFault
from .trial_rows import DEPLOYED, TRIALS, Trial

LEVELS: dict[str, Mapping[str, LabFault | Trial]] = {
    LAB: {one.name: one for one in ROWS}, TRIAL: {one.name: one for one in TRIALS},
}  # fmt: skip


def wanted(only: Collection[str], fresh: bool) -> list[LabFault | Trial]:
    """Rows whose names have a part of ``only``, without a valid result.

    Before any trial the one that installs the guard.
    """
    found = []
    for level, rows in LEVELS.items():
        old = record.stale(level, rows)
        named = [one for name, one in rows.items() if not only or any(part in name for part in only)]
        found += [one for one in named if fresh or one.name in old]
    tried = [one for one in found if isinstance(one, Trial)]
    if tried and tried[0].name != DEPLOYED:
        found.insert(found.index(tried[0]), LEVELS[TRIAL][DEPLOYED])
    return found


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
        _set_up(host, rows, kernel)
        for number, row in enumerate(rows, 1):
            level = TRIAL if isinstance(row, Trial) else LAB
            result, begin = record.before(level, row), time.monotonic()
            why = trial.run(host, row, kernel) if isinstance(row, Trial) else case.run(host, row, kernel.release)
            failed += bool(why)
            result(row.name, not why)
            seconds = time.monotonic() - begin
            print(f"[{number}/{len(rows)}] {row.name}: {why or 'pass'} ({seconds:.0f} s)", flush=True)
    finally:
        if not keep:
            operations.down(FLEET)
    for level, known in LEVELS.items():
        record.drop_unknown(level, known)
    print(f"lab faults: {len(rows) - failed} passed, {failed} failed", flush=True)
    return failed


def _set_up(host: Running, rows: Collection[LabFault | Trial], kernel: packages.Kernel) -> None:
    """Declare the VFs; for updates also install the kernel.

    And give the boot default the words that they begin with. A trial installs the kernel itself.
    """
    updates = [one for one in rows if isinstance(one, LabFault)]
    if updates and prepare.succeeds(host, "test -e /var/lib/kvmfleet-sriov/boot/trial.json"):
        trial.prepared(host, trial.other_kernel(host, kernel.release))  # a run with --keep has left it
    names = ("sriov", "kernel_deploy") if updates else ("sriov",)
    demo.playbooks(inventory.path(FLEET), demo.settings(kernel), *names)
    prepare.boot_words(host, updates)
