# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failing allocations, each in turn: a write succeeds whole, or fails.

Linux makes the N-th allocation of one thread fail (Documentation/fault-injection/fault-injection.rst, fail-nth).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from harness import Pf, SkippedError, case, errname, require

NTH = "/proc/thread-self/fail-nth"
ALLOCATORS = ("failslab", "fail_page_alloc")
IDS, LIST = {0, 1, 2}, "0-2"
ENOUGH = 20_000
CORE_ONLY = ("nvme", "pci-pf-stub")
"""Drivers whose sriov_configure is pci_sriov_configure_simple()."""


def only_first(pf: Pf) -> None:
    if any(other < pf.address for other in pf.others):
        raise SkippedError("the same code for every PF: run on the first one")


def arm() -> None:
    """Let allocations that may sleep fail, too, without messages."""
    if not os.path.exists(NTH):
        raise SkippedError("this kernel has no CONFIG_FAULT_INJECTION")
    for name in ALLOCATORS:
        folder = f"/sys/kernel/debug/{name}"
        require(os.path.isdir(folder), f"{folder} is missing: CONFIG_{name.upper()}, debugfs")
        for file, value in (("ignore-gfp-wait", "N"), ("cache-filter", "N"), ("verbose", "0"), ("min-order", "0")):
            if os.path.exists(f"{folder}/{file}"):
                with open(f"{folder}/{file}", "w", encoding="ascii") as stream:
                    stream.write(value)


def write_failing(pf: Pf, name: str, text: str, number: int) -> tuple[int, bool]:
    """Write once while allocation ``number`` (from 1) fails.

    Returns the errno (0: success), and whether there were so many allocations.
    """
    data = text.encode()
    target = os.open(f"{pf.files.root.rstrip('/')}{pf.path}/{name}", os.O_WRONLY)
    nth = os.open(NTH, os.O_RDWR)
    answer = 0
    try:
        os.write(nth, str(number).encode())
        try:
            os.write(target, data)
        except OSError as error:
            answer = error.errno or -1
        reached = int(os.pread(nth, 20, 0).strip() or b"0") == 0
        os.write(nth, b"0")
    finally:
        os.close(nth)
        os.close(target)
    return answer, reached


def each_in_turn(pf: Pf, name: str, text: str, after: Callable[[bool], None]) -> None:
    """Write with a later allocation failing each time, until none is left.

    ``after`` checks and undoes.
    """
    arm()
    answers: Counter[str] = Counter()
    for number in range(1, ENOUGH):
        answer, reached = write_failing(pf, name, text, number)
        answers[errname(answer)] += 1
        try:
            after(answer == 0)
        except Exception as error:
            raise AssertionError(
                f"allocation {number} of a write to {name} failed ({errname(answer)}): {error}"
            ) from error
        if not reached:
            require(answer == 0, f"without a failing allocation: {errname(answer)}")
            require(answers["ENOMEM"] > 0, f"no allocation was made to fail: {dict(answers)}")
            return
    require(False, f"{ENOUGH} allocations and no end")


def adding(pf: Pf, name: str, text: str) -> None:
    """Add all three VFs, with each allocation failing in turn."""
    only_first(pf)
    pf.ok("sriov_numvfs_no_scan", 3)

    def after(added: bool) -> None:
        pf.is_state(3, IDS if added else ())
        if added:
            pf.ok("sriov_remove_vf_id", LIST)

    each_in_turn(pf, name, text, after)


@case(vfs=3, real_only=True)
def case_faults_while_adding(pf: Pf) -> None:
    """Three VFs added, or none, and no trace of a failure.

    The next try succeeds.
    """
    adding(pf, "sriov_scan_vf_id", LIST)


@case(vfs=3, real_only=True)
def case_faults_while_completing(pf: Pf) -> None:
    """Three VFs added by `sriov_numvfs`, or none."""
    adding(pf, "sriov_numvfs", "3")


@case(vfs=3, real_only=True)
def case_faults_while_removing(pf: Pf) -> None:
    """Three VFs are removed, or none."""
    only_first(pf)
    pf.ok("sriov_numvfs_no_scan", 3)
    pf.ok("sriov_scan_vf_id", LIST)

    def after(removed: bool) -> None:
        pf.is_state(3, () if removed else IDS)
        if removed:
            pf.ok("sriov_scan_vf_id", LIST)

    each_in_turn(pf, "sriov_remove_vf_id", LIST, after)


@case(vfs=3, real_only=True)
def case_faults_while_enabling(pf: Pf) -> None:
    """VFs enabled, or SR-IOV off; allocations of the core alone.

    A driver with more to do has failures of its own. (igb continues without MSI-X, reports success with nothing
    enabled, and then refuses until it is bound again: drivers/net/ethernet/intel/igb/igb_main.c,
    igb_set_interrupt_capability.)
    """
    if pf.driver not in CORE_ONLY:
        raise SkippedError(f"{pf.driver} does more than the core when VFs are enabled")

    def after(enabled: bool) -> None:
        pf.is_state(3 if enabled else 0, ())
        if enabled:
            pf.ok("sriov_numvfs_no_scan", 0)

    each_in_turn(pf, "sriov_numvfs_no_scan", "3", after)
