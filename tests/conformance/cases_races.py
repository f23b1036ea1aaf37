# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases with several things at once.

Two writers, adding against disabling, unbinding, resetting and rescanning.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from errno import EBUSY, EEXIST, ENODEV, ENOENT

from cases_drivers import unbind_pf
from harness import Pf, SkippedError, case, errname, errno_of, expand, require, together

RESCAN = "/sys/bus/pci/rescan"


def write(pf: Pf, name: str, value: object) -> Callable[[], None]:
    return lambda: pf.files.write(f"{pf.path}/{name}", str(value))


def beside(work: Callable[[], None], main: Callable[[], None], allowed: tuple[int, ...]) -> int:
    """Repeat ``work`` in a thread while ``main`` runs.

    Its answers must be ``allowed``; returns the number of rounds.
    """
    stop, answers = threading.Event(), []
    broken: list[Exception] = []

    def repeat() -> None:
        while not stop.is_set() and not broken:
            try:
                answers.append(errno_of(work))
            except Exception as error:  # whatever it is, a thread would swallow it
                broken.append(error)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        main()
    finally:
        stop.set()
        thread.join(60)
    require(not thread.is_alive(), "the other writer has not come back after 60 s")
    require(not broken, f"the other thread failed: {broken}")
    strange = sorted({errname(answer) for answer in answers} - {errname(number) for number in allowed})
    require(not strange, f"the other writer was answered {', '.join(strange)}")
    return len(answers)


@case(real_only=True)
def case_race_two_writers_of_one_id(pf: Pf) -> None:
    """Two writers of one id: one succeeds.

    The other gets EEXIST (adding) or ENODEV (removing).
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    for _ in range(20):
        answers = together(*[write(pf, "sriov_scan_vf_id", 1)] * 3)
        require(sorted(answers) == sorted([0, EEXIST, EEXIST]), f"adding: {[errname(one) for one in answers]}")
        answers = together(*[write(pf, "sriov_remove_vf_id", 1)] * 3)
        require(sorted(answers) == sorted([0, ENODEV, ENODEV]), f"removing: {[errname(one) for one in answers]}")
    pf.is_state(2, ())


@case(vfs=4, real_only=True)
def case_race_overlapping_lists(pf: Pf) -> None:
    """Two lists that share an id: only one is added.

    It is added whole.
    """
    pf.ok("sriov_numvfs_no_scan", 4)
    for _ in range(10):
        answers = together(write(pf, "sriov_scan_vf_id", "0-1"), write(pf, "sriov_scan_vf_id", "1-3"))
        require(sorted(answers) == [0, EEXIST], f"{[errname(one) for one in answers]}")
        pf.is_state(4, (0, 1) if answers[0] == 0 else (1, 2, 3))
        pf.ok("sriov_remove_vf_id", pf.read("sriov_scan_vf_id"))


@case(vfs=7, real_only=True)
def case_race_different_ids(pf: Pf) -> None:
    """Writers of different ids all succeed."""
    pf.ok("sriov_numvfs_no_scan", 7)
    for _ in range(5):
        answers = together(*[write(pf, "sriov_scan_vf_id", number) for number in range(7)])
        require(not any(answers), f"{[errname(one) for one in answers]}")
        pf.is_state(7, range(7))
        pf.ok("sriov_remove_vf_id", "all")


@case(real_only=True)
def case_race_scan_against_disable(pf: Pf) -> None:
    """Adding while the PF is disabled and enabled.

    By the new file and the stock one; each write is whole or refused.
    """

    def main() -> None:
        for name in ("sriov_numvfs_no_scan", "sriov_numvfs", "sriov_numvfs_no_scan"):
            pf.ok("sriov_numvfs_no_scan", 2)
            time.sleep(0.1)
            pf.ok(name, 0)

    beside(write(pf, "sriov_scan_vf_id", "0-1"), main, (0, EEXIST, ENOENT))
    pf.is_state(0, ())


@case(real_only=True)
def case_race_remove_against_complete(pf: Pf) -> None:
    """Removing while the stock file completes: success, or nothing left."""
    pf.ok("sriov_numvfs", 2)

    def main() -> None:
        for _ in range(30):
            pf.ok("sriov_numvfs", 2)

    beside(write(pf, "sriov_remove_vf_id", 0), main, (0, ENODEV))
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))


@case(vfs=7, real_only=True)
def case_race_read_while_changing(pf: Pf) -> None:
    """One read(2) of a list at any time, always whole.

    No id is beyond the enabled ones.
    """
    pf.ok("sriov_numvfs_no_scan", 7)
    seen: set[int] = set()

    def read() -> None:
        handle = os.open(f"{pf.files.root}{pf.path}/sriov_scan_vf_id", os.O_RDONLY)
        try:
            text = os.read(handle, os.sysconf("SC_PAGESIZE")).decode()
        finally:
            os.close(handle)
        require(text.endswith("\n"), f"one read gave {text!r}")
        seen.update(expand(text))

    def main() -> None:
        for _ in range(20):
            pf.ok("sriov_scan_vf_id", "all")
            pf.ok("sriov_remove_vf_id", "all")

    beside(read, main, (0,))
    require(seen <= set(range(7)), f"ids {sorted(seen)} were read")


@case(vfs=4, real_only=True)
def case_race_rescan_while_adding(pf: Pf) -> None:
    """A rescan of the bus that adds and removes no VF."""
    pf.ok("sriov_numvfs_no_scan", 4)

    def main() -> None:
        for _ in range(10):
            pf.ok("sriov_scan_vf_id", "1,3")
            pf.is_state(4, (1, 3))
            pf.ok("sriov_remove_vf_id", "1,3")

    beside(lambda: pf.files.write(RESCAN, "1"), main, (0,))
    pf.is_state(4, ())


@case(real_only=True)
def case_race_unbind_while_adding(pf: Pf) -> None:
    """Unbinding the PF while VFs are added: no hang.

    Every write is whole or refused.
    """
    pf.ok("sriov_numvfs_no_scan", 2)

    def main() -> None:
        time.sleep(0.1)
        unbind_pf(pf)
        pf.undo.pop()()

    beside(write(pf, "sriov_scan_vf_id", "0-1"), main, (0, EEXIST, ENOENT))


@case(real_only=True)
def case_race_reset_while_adding(pf: Pf) -> None:
    """Resets of the PF while VFs are added and removed.

    They are function-level resets; nothing hangs, and every VF is there at the end.
    """
    if not pf.files.exists(f"{pf.path}/reset"):
        raise SkippedError("this PF has no way to be reset")
    pf.ok("sriov_numvfs_no_scan", 2)

    def main() -> None:
        for _ in range(3):
            pf.ok("sriov_scan_vf_id", "0-1")
            pf.ok("sriov_remove_vf_id", "0-1")
            time.sleep(0.1)

    beside(lambda: pf.files.write(f"{pf.path}/reset", "1"), main, (0,))
    pf.ok("sriov_scan_vf_id", "0-1")
    pf.is_state(2, (0, 1))


def waits_overlap(pf: Pf, file: str) -> None:
    """Require that disabling all PFs in parallel is much faster.

    It is compared with one after the other; ``file`` disables them.
    """
    if not pf.others:
        raise SkippedError("needs a second PF: name one with --pf")
    every = [pf, *(Pf(pf.files, address, pf.real) for address in pf.others)]
    for one in every:
        one.reset()
        one.ok("sriov_drivers_autoprobe", 0)
        one.ok(file, 2)
        pf.undo.append(one.reset)
    alone = 0.0
    for one in every:
        start = time.monotonic()
        one.ok(file, 0)
        alone += time.monotonic() - start
        one.ok(file, 2)
    start = time.monotonic()
    answers = together(*[write(one, file, 0) for one in every])
    took = time.monotonic() - start
    require(not any(answers), f"{[errname(one) for one in answers]}")
    saved = 0.5 * (len(every) - 1)
    require(took < alone - saved, f"{len(every)} PFs took {took:.2f} s in parallel, {alone:.2f} s one after the other")


@case(real_only=True)
def case_parallel_waits_overlap(pf: Pf) -> None:
    """Parallel waits for the hardware through the new file.

    PFs that are disabled in parallel wait at the same time, not in turn.
    """
    waits_overlap(pf, "sriov_numvfs_no_scan")


@case(real_only=True)
def case_race_enable_twice(pf: Pf) -> None:
    """Two writers of different N: EBUSY for one.

    Of the same N both succeed.
    """
    answers = together(write(pf, "sriov_numvfs_no_scan", 1), write(pf, "sriov_numvfs_no_scan", 2))
    require(sorted(answers) == sorted([0, EBUSY]), f"{[errname(one) for one in answers]}")
    pf.reset()
    answers = together(*[write(pf, "sriov_numvfs_no_scan", 2)] * 3)
    require(not any(answers), f"{[errname(one) for one in answers]}")
    pf.is_state(2, ())
