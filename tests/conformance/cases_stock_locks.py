# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases about the locks of the stock file.

Its waits overlap, its deadlock is gone, and nothing else changes for users.
"""

from __future__ import annotations

import time
from errno import EBUSY, ENODEV, ENOENT

from cases_races import beside, waits_overlap, write
from cases_removal import back_again
from harness import Pf, case, errname, require, together


@case(real_only=True)
def case_stock_waits_overlap(pf: Pf) -> None:
    """Parallel waits for the hardware through the stock file.

    PFs that are disabled in parallel wait at the same time.
    """
    waits_overlap(pf, "sriov_numvfs")


@case(real_only=True)
def case_stock_reads_as_it_is(pf: Pf) -> None:
    """0, or the number with all VFs, while the stock file enables.

    A reader never finds fewer.
    """
    seen: list[tuple[int, int]] = []
    disabling = [0]

    def look() -> None:
        """Read the number and the links; keep consistent readings.

        A disable between the two reads may have removed links: only readings beside none count.
        """
        before = disabling[0]
        number = int(pf.read("sriov_numvfs"))
        links = sum(name.startswith("virtfn") for name in pf.files.names(pf.path))
        if number and before == disabling[0] and before % 2 == 0:
            seen.append((number, links))

    def main() -> None:
        for _ in range(5):
            pf.ok("sriov_numvfs", 2)
            time.sleep(0.05)
            disabling[0] += 1
            pf.ok("sriov_numvfs_no_scan", 0)
            disabling[0] += 1

    beside(look, main, (0,))
    require(set(seen) == {(2, 2)}, f"number and links: {sorted(set(seen))}")


@case(real_only=True)
def case_stock_same_number_twice(pf: Pf) -> None:
    """Two writers of the same number to the stock file.

    Both succeed, and both find all VFs there.
    """
    for _ in range(3):
        answers = together(*[write(pf, "sriov_numvfs", 2)] * 3)
        require(not any(answers), f"{[errname(one) for one in answers]}")
        pf.is_state(2, (0, 1))
        pf.ok("sriov_numvfs", 0)


@case(real_only=True)
def case_stock_enable_against_disable(pf: Pf) -> None:
    """Enabling against disabling by the stock file: no hang.

    The end is one of the two states, whole.
    """
    for _ in range(3):
        answers = together(write(pf, "sriov_numvfs", 2), write(pf, "sriov_numvfs", 0))
        require(set(answers) <= {0, EBUSY}, f"{[errname(one) for one in answers]}")
        number = int(pf.read("sriov_numvfs"))
        pf.is_state(number, range(number))
        pf.ok("sriov_numvfs", 0)


@case(real_only=True)
def case_stock_pf_removed_while_writing(pf: Pf) -> None:
    """The deadlock of stock kernels: no hang.

    The PF is removed while its stock file is written.
    """
    for value in (0, 2):
        pf.ok("sriov_numvfs", 2 - value)
        back_again(pf)
        answers = together(write(pf, "sriov_numvfs", value), write(pf, "remove", 1), write(pf, "sriov_numvfs", value))
        require(answers[1] == 0, f"remove: {errname(answers[1])}")
        require({answers[0], answers[2]} <= {0, EBUSY, ENOENT, ENODEV}, f"{[errname(one) for one in answers]}")
        pf.undo.pop()()
        pf.ok("sriov_drivers_autoprobe", 0)
        pf.reset()
