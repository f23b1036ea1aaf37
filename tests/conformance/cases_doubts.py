# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubts about VFs that another kernel has left enabled.

They are begun anew, and the log gives the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from harness import Pf, SkippedError, case, require
from jumps import KEEP
from kept import NO_SCAN, answer_without_bus_master, declines, is_off_in_hardware, keeps, left_enabled, said_at_boot
from sriov_config import (
    ADDRESS,
    ARI,
    CONTROL,
    MIGRATION_INTERRUPT,
    NUM_VFS,
    PAGE_SIZE,
    TOTAL_VFS,
    VF_BAR,
    VF_ENABLE,
    VF_MEMORY,
    Space,
    sriov,
)


@case(vfs=3, real_only=True, words=KEEP)
def case_kept_vfs_of_another_number(pf: Pf) -> None:
    """Another number than was kept: begun anew."""
    for number in (1, 3):
        keeps(pf)
        declines(pf, "another number was asked for", number=number)
        answer_without_bus_master(pf, "0")


@case(real_only=True, words=KEEP)
def case_kept_vfs_after_a_reset_of_the_pf(pf: Pf) -> None:
    """A reset of the PF, which has disabled kept VFs, noticed."""
    if not pf.files.exists(f"{pf.path}/reset"):
        raise SkippedError("this PF has no way to be reset")
    keeps(pf)
    pf.ok("reset", 1)
    is_off_in_hardware(pf)
    declines(pf, "VF Enable was cleared, by a reset of the PF or so")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_with_a_bar_that_moved(pf: Pf) -> None:
    """A VF BAR that has moved: begun anew.

    The BAR is where the kernel has put it.
    """
    keeps(pf)
    space = sriov(pf.config)
    bar = space.get(VF_BAR)
    space.put(VF_BAR, bar + 0x100000)
    require(space.get(VF_BAR) & ADDRESS != bar & ADDRESS, "the VF BAR does not take another address")
    declines(pf, "a VF BAR has moved")
    require(space.get(VF_BAR) == bar, f"the VF BAR is {space.get(VF_BAR):#x}, was {bar:#x}")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_with_another_control(pf: Pf) -> None:
    """Another bit of the control register (ARI): begun anew.

    The register is then as it should be.
    """
    keeps(pf)
    space = sriov(pf.config)
    control = space.get(CONTROL)
    if not space.flip(CONTROL, ARI):
        raise SkippedError("this PF does not let the ARI bit be changed")
    declines(pf, "the SR-IOV control register has changed")
    require(space.get(CONTROL) == control | VF_MEMORY, f"SR-IOV control is {space.get(CONTROL):#x}, was {control:#x}")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_with_another_page_size(pf: Pf) -> None:
    """Another page size than was kept: begun anew.

    The page size is then as it should be.
    """
    keeps(pf)
    space = sriov(pf.config)
    size = space.get(PAGE_SIZE)
    if not space.flip(PAGE_SIZE, 3):
        raise SkippedError("this PF has a fixed page size")
    declines(pf, "the page size has changed")
    require(space.get(PAGE_SIZE) == size, f"the page size is {space.get(PAGE_SIZE):#x}, was {size:#x}")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_with_another_numvfs(pf: Pf) -> None:
    """Another NumVFs in hardware than was kept: begun anew."""
    keeps(pf)
    space = sriov(pf.config)
    control = space.get(CONTROL)
    space.put(CONTROL, control & ~VF_ENABLE)
    space.put(NUM_VFS, 1)
    space.put(CONTROL, control)
    require(space.get(NUM_VFS) == 1 and space.get(CONTROL) == control, "NumVFs cannot be changed")
    declines(pf, "NumVFs, VF offset or VF stride has changed")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_left_with_another_page_size(pf: Pf) -> None:
    """Another page size at boot: not kept, disabled, begun from nothing."""
    refuses(pf, "the page size has changed", lambda space: space.flip(PAGE_SIZE, 3))


@case(real_only=True, words=KEEP)
def case_left_with_another_ari(pf: Pf) -> None:
    """Another ARI bit at boot than this kernel requires: not kept.

    The VFs are disabled, and begun from nothing.
    """
    refuses(pf, "ARI has changed", lambda space: space.flip(CONTROL, ARI))


@case(real_only=True, words=KEEP)
def case_left_with_a_foreign_control_bit(pf: Pf) -> None:
    """A bit that no kernel sets (VF migration): not kept.

    The VFs are disabled, and begun from nothing.
    """
    why = "the SR-IOV control register has unknown bits"
    refuses(pf, why, lambda space: space.flip(CONTROL, MIGRATION_INTERRUPT))


@case(real_only=True, words=KEEP)
def case_left_with_no_numvfs(pf: Pf) -> None:
    """VF Enable without any VF: not kept, disabled, begun from nothing."""
    refuses(pf, "NumVFs, VF offset or VF stride is invalid", lambda space: bool(space.get(CONTROL) & VF_ENABLE), 0)


@case(real_only=True, words=KEEP)
def case_left_with_too_many_numvfs(pf: Pf) -> None:
    """More VFs than the PF supports: not kept.

    They are disabled, and begun from nothing.
    """
    number, why = sriov(pf.config).get(TOTAL_VFS) + 1, "NumVFs, VF offset or VF stride is invalid"
    refuses(pf, why, lambda space: space.get(NUM_VFS) == number and bool(space.get(CONTROL) & VF_ENABLE), number)


def refuses(pf: Pf, why: str, change: Callable[[Space], bool], number: int = 2) -> None:
    """Have VFs that are changed, and require them not kept.

    ``change`` returns whether the hardware accepts the change.
    """
    taken: list[bool] = []
    lines = left_enabled(pf, number, lambda space: taken.append(change(space)))
    if not all(taken):
        raise SkippedError("this PF does not take the change that the case is about")
    said_at_boot(lines, f"not keeping the {number} VFs that are enabled: {why}")
    is_off_in_hardware(pf)
    require(sriov(pf.config).get(PAGE_SIZE) == os.sysconf("SC_PAGESIZE") >> 12, "the page size is not the kernel's")
    pf.ok(NO_SCAN, 2)
    answer_without_bus_master(pf, "0-1")
    pf.is_state(2, (0, 1))
