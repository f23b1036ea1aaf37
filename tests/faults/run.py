# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run faults on played hosts, or check what is recorded of them.

`make test-faults` runs the cases without a valid result; `make faults`, a stage of `make test`, checks the record and
runs `SAMPLE`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Collection, Mapping
from pathlib import Path

from lab.faults.libvirt_rows import LIBVIRT_ROWS
from lab.faults.rows import ROWS
from lab.faults.trial_rows import TRIALS
from tools import evidence

from . import (
    cases_after,
    cases_before,
    cases_deploy,
    cases_held,
    cases_moved,
    cases_saving,
    children,
    deploy,
    path,
    record,
)
from .deploy import Deployment
from .fault import Fault
from .record import DEPLOY, LAB, LIBVIRT, LOCAL, REPOSITORY, TRIAL
from .session import Session

CASES = {
    one.name: one
    for one in (*cases_before.CASES, *cases_saving.CASES, *cases_after.CASES, *cases_held.CASES, *cases_moved.CASES)
}
DEPLOYMENTS = {one.name: one for one in cases_deploy.CASES}
EVERY: dict[str, Fault | Deployment] = {**CASES, **DEPLOYMENTS}
LEVELS: dict[str, Mapping[str, Fault | Deployment]] = {LOCAL: CASES, DEPLOY: DEPLOYMENTS}
"""Levels that are run here, with their cases."""
SAMPLE = (
    "late_guest", "save_killed_after_quit", "jump_panic", "elsewhere_before_resume", "resume_killed_before_cont",
    "deploy_cut_confirm",
)  # fmt: skip
"""Cases of each `make test`: one of each phase."""
LOGS = REPOSITORY / "build/faults"


def run(fault: Fault | Deployment) -> str:
    """Run a case; why it failed, empty for a pass."""
    shutil.rmtree(LOGS / fault.name, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    if isinstance(fault, Deployment):
        return _deploy(fault, folder)
    session = Session(fault, folder)
    try:
        path.walk(session)
    except Exception as error:
        (LOGS / fault.name).mkdir(parents=True)
        for log in (*folder.glob("*.log"), *folder.glob("root/var/lib/kvmfleet-sriov/live-update/*.json")):
            shutil.copy(log, LOGS / fault.name)
        return f"{type(error).__name__}: {error}; see {(LOGS / fault.name).relative_to(REPOSITORY)}/"
    finally:
        session.close()
        session.remove()
    return ""


def _deploy(case: Deployment, folder: Path) -> str:
    """Run the cuts of a deployment, as `run` does."""
    try:
        deploy.walk(case, folder)
    except Exception as error:
        (LOGS / case.name).mkdir(parents=True)
        (LOGS / case.name / "case.log").write_text(traceback.format_exc())
        return f"{type(error).__name__}: {error}; see {(LOGS / case.name).relative_to(REPOSITORY)}/"
    finally:
        shutil.rmtree(folder)
    return ""


def run_all(names: Collection[str], *, keep: bool) -> int:
    """Run cases one by one, a line for each; number of failures."""
    failed = 0
    for number, name in enumerate(names, 1):
        level = LOCAL if name in CASES else DEPLOY
        begin, result = time.monotonic(), record.before(level, EVERY[name])
        why = run(EVERY[name])
        failed += bool(why)
        if keep:
            result(name, not why)
        print(f"[{number}/{len(names)}] {name}: {why or 'pass'} ({time.monotonic() - begin:.1f} s)", flush=True)
    return failed


def check(names: Collection[str]) -> tuple[int, int]:
    """Print what the record says; (valid results, cases that fail)."""
    rows: dict[str, Mapping[str, object]] = {
        **LEVELS, LAB: {one.name: one for one in ROWS}, TRIAL: {one.name: one for one in TRIALS},
        LIBVIRT: {one.name: one for one in LIBVIRT_ROWS},
    }  # fmt: skip
    found = [_say(level, cases) for level, cases in rows.items()]
    print(f"faults: {len(EVERY) - len(names)} local ones and those of the lab are not run here (`make test-faults`)")
    return sum(good for good, _bad in found), sum(bad for _good, bad in found)


def _say(level: str, rows: Mapping[str, object]) -> tuple[int, int]:
    """Print the record of a level; (valid results, rows that fail).

    Those fail whose result is not valid any more; of the levels that are run here also those without any.
    """
    old = record.stale(level, rows)
    entries = record.load().get(level, {}).values()
    print(*evidence.lines(f"faults, {level}", len(rows), old, entries, most=5), sep="\n")
    return len(rows) - len(old), len([why for why in old.values() if level in LEVELS or why != evidence.NEVER])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose names fit")
    parser.add_argument("--fresh", action="store_true", help="also those with a valid result")
    parser.add_argument("--sample", action="store_true", help="check the record, and run some cases")
    options = parser.parse_args()
    children.adopt()
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(1))
    if options.sample:
        good, bad = check(SAMPLE)
        failed = run_all(SAMPLE, keep=False)
        print(f"faults: {good + len(SAMPLE) - failed} passed, {bad + failed} failed")
        return int(bool(bad or failed))
    wanted = [name for name in EVERY if re.search(options.only, name)]
    old_names = [name for level, cases in LEVELS.items() for name in record.stale(level, cases)]
    todo = [name for name in wanted if options.fresh or name in old_names]
    failed = run_all(todo, keep=True)
    for level, cases in LEVELS.items():
        record.drop_unknown(level, cases)
    print(f"faults: {len(todo) - failed} passed, {failed} failed; {len(wanted) - len(todo)} have valid results")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
