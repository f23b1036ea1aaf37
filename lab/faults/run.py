"""Run the rows that need a real kernel, on one emulated host.

Faults of live updates, then kernels that are tried. A result is recorded when its row has ended, so a run that is
interrupted goes on where it was.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Iterable, Mapping

from tests.faults import record
from tests.faults.record import LAB, LIBVIRT, TRIAL

from ..fleet import inventory, operations, testbed
from ..kernels import packages
from ..machine.host import Running
from ..scenarios import demo
from . import case, libvirt_rows, prepare, rows, trial
from .libvirt_rows import LIBVIRT_ROWS, Scenario
from .rows import ROWS, LabFault
from .trial_rows import DEPLOYED, TRIALS, Trial

Row = LabFault | Trial | Scenario
LEVELS: dict[str, Mapping[str, Row]] = {
    LAB: {one.name: one for one in ROWS}, TRIAL: {one.name: one for one in TRIALS},
    LIBVIRT: {one.name: one for one in LIBVIRT_ROWS},
}  # fmt: skip
LEVEL_OF = {name: level for level, known in LEVELS.items() for name in known}
FLEETS = {rows.FLEET: (LAB, TRIAL), libvirt_rows.FLEET: (LIBVIRT,)}
"""Fleets of one host, each with its levels in order."""


def wanted(only: Collection[str], fresh: bool, levels: Iterable[str] = tuple(LEVELS)) -> list[Row]:
    """Rows whose names have a part of ``only``, without a valid result.

    Before any trial the one that installs the guard.
    """
    found: list[Row] = []
    for level in levels:
        old = record.stale(level, LEVELS[level])
        named = [one for name, one in LEVELS[level].items() if not only or any(part in name for part in only)]
        found += [one for one in named if fresh or one.name in old]
    tried = [one for one in found if isinstance(one, Trial)]
    if tried and tried[0].name != DEPLOYED:
        found.insert(found.index(tried[0]), LEVELS[TRIAL][DEPLOYED])
    return found


def faults(only: Collection[str] = (), fresh: bool = False, keep: bool = False) -> int:
    """Run rows without a valid result; number of failures."""
    todo = {fleet: found for fleet, levels in FLEETS.items() if (found := wanted(only, fresh, levels))}
    if not todo:
        print("lab faults: 0 failed, all have valid results")
        return 0
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(1))
    operations.build()
    total = sum(map(len, todo.values()))
    failed = sum(_of_fleet(fleet, found, keep) for fleet, found in todo.items())
    for level, known in LEVELS.items():
        record.drop_unknown(level, known)
    print(f"lab faults: {total - failed} passed, {failed} failed", flush=True)
    return failed


def _of_fleet(fleet: str, found: Collection[Row], keep: bool) -> int:
    """Run rows on a fleet's host, a line each; number of failures."""
    (host,) = operations.up(fleet)
    failed = 0
    try:
        kernel = packages.built("series")
        _set_up(host, found, kernel)
        for number, row in enumerate(found, 1):
            result, begin = record.before(LEVEL_OF[row.name], row), time.monotonic()
            why = _run(host, row, kernel)
            failed += bool(why)
            result(row.name, not why)
            seconds = time.monotonic() - begin
            print(f"[{number}/{len(found)}] {row.name}: {why or 'pass'} ({seconds:.0f} s)", flush=True)
    finally:
        if not keep:
            operations.down(fleet)
    return failed


def _run(host: Running, row: Row, kernel: packages.Kernel) -> str:
    """Run a row; why it failed, empty for a pass."""
    if isinstance(row, Trial):
        return trial.run(host, row, kernel)
    if isinstance(row, LabFault):
        return case.run(host, row, kernel.release)
    prepare.idle(host, trial.other_kernel(host, kernel.release))
    testbed.keep_bytecode(host.ssh)
    return "" if testbed.run(row.name, host.fleet) else f"see {testbed.LOGS / row.name}.log"


def _set_up(host: Running, found: Collection[Row], kernel: packages.Kernel) -> None:
    """Declare the VFs; for updates also install the kernel.

    And give the boot default the words that they begin with. A trial installs the kernel itself.
    """
    updates = [one for one in found if isinstance(one, LabFault)]
    if updates and prepare.succeeds(host, "test -e /var/lib/kvmfleet-sriov/boot/trial.json"):
        trial.prepared(host, trial.other_kernel(host, kernel.release))  # a run with --keep has left it
    names = ("sriov", "kernel_deploy") if updates else ("sriov",)
    demo.playbooks(inventory.path(host.fleet), demo.settings(kernel), *names)
    prepare.boot_words(host, updates)
