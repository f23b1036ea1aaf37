# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases about PFs that are removed from the system.

With VFs enabled and while others write to their files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from errno import EEXIST, ENODEV, ENOENT

from cases_races import RESCAN, beside, write
from harness import DEVICES, Pf, SkippedError, case, errname, require, together, wait_for


def back_again(pf: Pf) -> None:
    """Rescan until the PF has its driver again.

    That is the undo of a removal.
    """
    driver = pf.driver

    def undo() -> None:
        wait_for(lambda: not pf.files.exists(pf.path), f"{pf.address} removed")
        pf.files.write(RESCAN, "1")
        wait_for(lambda: pf.driver == driver, f"{driver} bound to {pf.address} after a rescan")

    pf.undo.append(undo)


@case(real_only=True)
def case_pf_removed_with_none_present(pf: Pf) -> None:
    """Removing a PF with SR-IOV on and no VF present.

    It is disabled; after a rescan it starts from nothing.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    back_again(pf)
    pf.ok("remove", 1)
    pf.undo.pop()()
    pf.is_state(0, ())
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.is_state(2, (1,))


@case(real_only=True)
def case_pf_removed_with_some_present(pf: Pf) -> None:
    """Removing a PF with its VFs.

    After a rescan they can be added again.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    address = pf.vf(1)
    back_again(pf)
    pf.ok("remove", 1)
    require(not pf.files.exists(f"{DEVICES}/{address}"), "VF 1 outlived its PF")
    pf.undo.pop()()
    pf.ok("sriov_drivers_autoprobe", 0)
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))


@case(real_only=True)
def case_race_pf_removed_while_adding(pf: Pf) -> None:
    """Removing the PF while VFs are added: no hang.

    Then the writer finds no PF any more.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    back_again(pf)

    def main() -> None:
        time.sleep(0.1)
        pf.ok("remove", 1)

    beside(write(pf, "sriov_scan_vf_id", "0-1"), main, (0, EEXIST, ENOENT, ENODEV))


@case(real_only=True)
def case_race_pf_removed_while_disabling(pf: Pf) -> None:
    """Disabling, removing the PF and adding at once: no hang.

    Disabling holds the device lock for a second, the removal waits for it, a third adds.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    back_again(pf)
    answers = together(write(pf, "sriov_numvfs_no_scan", 0), write(pf, "remove", 1), write(pf, "sriov_scan_vf_id", 0))
    require(answers[1] == 0, f"remove: {errname(answers[1])}")
    allowed = {0, EEXIST, ENOENT, ENODEV}
    require({answers[0], answers[2]} <= allowed, f"{[errname(one) for one in answers]}")


@case(real_only=True)
def case_race_two_locks(pf: Pf) -> None:
    """The deadlock of stock kernels, with the new files: no hang.

    Another PF's stock disable holds the rescan/remove lock for a second, this PF is removed, and its new file is
    written.
    """
    if not pf.others:
        raise SkippedError("needs a second PF: name one with --pf")
    other = Pf(pf.files, pf.others[0], pf.real)
    other.reset()
    other.ok("sriov_drivers_autoprobe", 0)
    other.ok("sriov_numvfs", 1)
    pf.undo.append(other.reset)
    pf.ok("sriov_numvfs_no_scan", 2)
    back_again(pf)

    def late(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            time.sleep(seconds)
            call()

        return run

    answers = together(
        write(other, "sriov_numvfs", 0),
        late(0.3, write(pf, "remove", 1)),
        late(0.5, write(pf, "sriov_scan_vf_id", 0)),
        late(0.6, write(pf, "sriov_numvfs_no_scan", 0)),
    )
    require(answers[:2] == [0, 0], f"{[errname(one) for one in answers]}")
    require(set(answers[2:]) <= {0, ENOENT, ENODEV}, f"{[errname(one) for one in answers]}")
