# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs that another kernel has left enabled: kept, and adopted.

This kernel was booted with `pci=sriov_keep_vfs`. Every reason against keeping is in cases_doubts.py, what then holds
for a VF in cases_adopted.py.
"""

from __future__ import annotations

import time
from errno import ENOENT

from cases_drivers import bind_vfio, unbind, unbind_pf
from cases_removal import back_again
from harness import Pf, SkippedError, case, require
from jumps import KEEP, LISTED
from kept import (
    NO_SCAN,
    adopts,
    answer_without_bus_master,
    declines,
    is_kept,
    is_off_in_hardware,
    keeps,
)
from kernel_log import KernelLog, of_device

TAINT_USER = 1 << 6


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_off_for_everybody(pf: Pf) -> None:
    """Kept VFs: enabled in hardware, off for everybody else.

    No memory is decoded; `sriov_numvfs` is 0, none is present, none can be added.
    """
    keeps(pf)
    pf.refused("sriov_scan_vf_id", 0, ENOENT)
    require(pf.read(NO_SCAN) == "0", f"{NO_SCAN} is {pf.read(NO_SCAN)}")
    is_kept(pf, 2)


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_by_no_scan(pf: Pf) -> None:
    """The same number to `sriov_numvfs_no_scan`: adopted.

    The log reports it, they are on, absent, and answer when added.
    """
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.is_state(2, ())
    answer_without_bus_master(pf, "0-1")
    pf.is_state(2, (0, 1))


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_by_the_stock_file(pf: Pf) -> None:
    """The same number to `sriov_numvfs`: adopted, and all present."""
    keeps(pf)
    adopts(pf, "sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_without_a_wait(pf: Pf) -> None:
    """Adoption without a wait for the hardware.

    The case tries three times: the emulator may pause for so long by itself, the kernel would wait each time.
    """
    after: list[float] = []
    for _ in range(3):
        keeps(pf)
        log = KernelLog()
        pf.ok(NO_SCAN, 2)
        with open("/dev/kmsg", "w", encoding="ascii") as stream:
            stream.write("conformance: enabled\n")
        lines = log.lines()
        adopted = [line.seconds for line in of_device(lines, pf.address) if line.text.startswith("adopting")]
        done = [line.seconds for line in lines if line.text == "conformance: enabled"]
        require(len(adopted) == len(done) == 1, f"the log has {[line.text for line in lines]}")
        after.append(done[0] - adopted[0])
        pf.ok(NO_SCAN, 0)
    require(min(after) < 0.09, f"{[round(one, 3) for one in after]} s until the write was done")


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_begun_anew_after_zero(pf: Pf) -> None:
    """Adopted VFs disabled as all VFs; enabled again, not adopted."""
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.ok(NO_SCAN, 0)
    is_off_in_hardware(pf)
    log = KernelLog()
    pf.ok(NO_SCAN, 2)
    said = [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text]
    require(not said, f"the log says {said}")
    pf.ok("sriov_scan_vf_id", "0-1")
    pf.is_state(2, (0, 1))


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_dropped_by_zero(pf: Pf) -> None:
    """0 to either file disables kept VFs, although it reads 0.

    After a second the hardware is as new.
    """
    for file in ("sriov_numvfs", NO_SCAN):
        keeps(pf)
        start = time.monotonic()
        declines(pf, "0 VFs were asked for", file=file, number=0)
        took = time.monotonic() - start
        require(took > 0.9, f"the hardware was given {took:.2f} s only")
        is_off_in_hardware(pf)
        pf.ok(NO_SCAN, 2)
        answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_dropped_by_zero_without_a_driver(pf: Pf) -> None:
    """Kept VFs that survive their PF's driver.

    0 to `sriov_numvfs` disables them without one.
    """
    keeps(pf)
    unbind_pf(pf)
    is_kept(pf, 2)
    declines(pf, "0 VFs were asked for", file="sriov_numvfs", number=0)
    is_off_in_hardware(pf)


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_kept_for_the_next_driver(pf: Pf) -> None:
    """Kept VFs left by one PF driver, adopted by the next.

    The first driver has requested nothing.
    """
    keeps(pf)
    unbind_pf(pf)
    pf.undo.pop()()
    is_kept(pf, 2)
    adopts(pf, NO_SCAN, 2)
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_go_with_the_pf(pf: Pf) -> None:
    """Kept VFs disabled by removing the PF; none after a rescan."""
    keeps(pf)
    log = KernelLog()
    back_again(pf)
    pf.ok("remove", 1)
    pf.undo.pop()()
    said = [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text or "keep" in line.text]
    require(said == ["not adopting the 2 VFs that were kept: the PF is removed"], f"the log says {said}")
    is_off_in_hardware(pf)
    pf.is_state(0, ())


def give_to_vfio(pf: Pf) -> list[str]:
    """Bind the PF itself to vfio-pci and return the log.

    vfio-pci enables VFs when it is configured to, and has declared nothing.
    """
    allow = "/sys/module/vfio_pci/parameters/enable_sriov"
    if not pf.files.exists(allow):
        raise SkippedError("this kernel's vfio-pci has no enable_sriov")
    pf.files.write(allow, "Y")
    pf.undo.append(lambda: pf.files.write(allow, "N"))
    unbind_pf(pf)
    is_kept(pf, 2)
    log = KernelLog()
    bind_vfio(pf, pf.address)
    pf.undo.append(lambda: unbind(pf, pf.address))
    pf.undo.append(lambda: pf.ok("sriov_numvfs", 0))
    return [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text or "kept" in line.text]


@case(real_only=True, words=KEEP)
def case_kept_vfs_of_a_driver_that_declared_nothing(pf: Pf) -> None:
    """Kept VFs disabled before a driver that has declared nothing.

    Such a PF driver has not declared that it can take over kept VFs (vfio-pci is one).
    """
    keeps(pf)
    said = give_to_vfio(pf)
    wanted = "not adopting the 2 VFs that were kept: the driver has not declared that it can"
    require(said == [wanted], f"the log says {said}")
    is_off_in_hardware(pf)
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=LISTED)
def case_kept_vfs_of_a_driver_that_is_listed(pf: Pf) -> None:
    """Kept VFs of a listed driver: `pci=sriov_keep_vfs=VENDOR:DEVICE`.

    The driver has declared nothing; that taints (U, bit 6).
    """
    keeps(pf)
    said = give_to_vfio(pf)
    wanted = "VFs are kept by pci=sriov_keep_vfs=, although driver vfio-pci has not declared it"
    require(said == [wanted], f"the log says {said}")
    require(bool(int(pf.files.read("/proc/sys/kernel/tainted")) & TAINT_USER), "not tainted")
    is_kept(pf, 2)
    adopts(pf, "sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
    answer_without_bus_master(pf, "0-1")
