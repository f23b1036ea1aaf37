# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The series' own selftest (tools/testing/selftests/pci_iov/).

lab/kernels/selftest.py has put it beside this file.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from harness import Pf, SkippedError, case, require

SCRIPT = Path(__file__).resolve().parent / "selftests" / "pci_iov" / "vfs_on_demand.sh"
SKIPPED = 4
"""Exit status, KSFT_SKIP."""
SECONDS = 1800


def judge(status: int, text: str) -> int:
    """The number of passed tests; an error unless all passed.

    It is read from the output (Documentation/dev-tools/ktap.rst); all that were planned must have passed.
    """
    plan = re.search(r"^1\.\.(\d+)", text, re.MULTILINE)
    if status == SKIPPED:
        raise SkippedError(f"the selftest skipped itself: {plan.string[plan.start() :].strip() if plan else text}")
    bad = re.findall(r"^not ok \d+ (.*)$", text, re.MULTILINE)
    passed = len(re.findall(r"^ok \d+ (?!.*# SKIP)", text, re.MULTILINE))
    planned = int(plan[1]) if plan else 0
    require(not bad, f"{len(bad)} of {planned} tests failed: {'; '.join(bad)}")
    require(status == 0 and passed == planned > 0, f"status {status}, {passed} of {planned} tests: {text[-300:]}")
    return passed


@case(vfs=4, real_only=True)
def case_selftest(pf: Pf) -> None:
    """The selftest passes on all PFs together."""
    if any(other < pf.address for other in pf.others):
        raise SkippedError("on all PFs at once: run from the first one")
    if not SCRIPT.exists():
        raise SkippedError("the series' selftest is not here")
    pfs = " ".join(sorted((pf.address, *pf.others)))
    done = subprocess.run(
        ["bash", str(SCRIPT)],
        env={**os.environ, "PCI_IOV_PFS": pfs},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS,
    )
    judge(done.returncode, done.stdout.decode(errors="replace"))
