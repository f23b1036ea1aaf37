# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases about VFs that another kernel has left enabled, on a kernel that was booted with `pci=sriov_keep_vfs`.

Here the other kernel is this one: VFs are enabled behind its back, then it forgets the PF and finds it again, which is
the same code as at boot. Real jumps are in jumps_kept.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from errno import ENOENT

from cases_drivers import DRIVERS, bind_vfio, unbind, unbind_pf
from cases_removal import back_again
from harness import DEVICES, Pf, SkippedError, case, errno_of, require
from jumps import KEEP, LISTED
from kernel_log import KernelLog, Line, of_device
from sriov_config import (
    ADDRESS,
    ARI,
    BUS_MASTER,
    COMMAND,
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

NO_SCAN = "sriov_numvfs_no_scan"
VF_DRIVERS = {"igb": "igbvf", "nvme": "nvme"}
"""By the PF's driver: the one of its VFs that is no vfio."""
TAINT_USER = 1 << 6


def left_enabled(pf: Pf, number: int, change: Callable[[Space], object] = bool) -> list[Line]:
    """Have the kernel find the PF with VFs enabled, after a ``change`` to the capability; what it prints about that."""
    pf.reset()
    space = sriov(pf.config)
    space.put(NUM_VFS, number)
    space.put(CONTROL, space.get(CONTROL) | VF_ENABLE | VF_MEMORY)
    time.sleep(0.1)
    change(space)
    log = KernelLog()
    back_again(pf)
    pf.ok("remove", 1)
    pf.undo.pop()()
    pf.undo.append(lambda: pf.ok("sriov_numvfs", 0))
    pf.ok("sriov_drivers_autoprobe", 0)
    return of_device(log.lines(), pf.address)


def said_at_boot(lines: list[Line], text: str) -> None:
    """Fail unless enumeration said exactly this about keeping VFs, and nothing else."""
    found = [line.text for line in lines if "keeping" in line.text]
    require(found == [text], f"the log says {found}, not '{text}'")


def is_kept(pf: Pf, number: int) -> None:
    """Enabled in hardware, their memory is not decoded; everybody else sees a PF that is off."""
    space = sriov(pf.config)
    control, found = space.get(CONTROL), space.get(NUM_VFS)
    require(control & (VF_ENABLE | VF_MEMORY) == VF_ENABLE, f"SR-IOV control is {control:#x}")
    require(found == number, f"NumVFs is {found}, not {number}")
    pf.is_state(0, ())


def is_off_in_hardware(pf: Pf) -> None:
    control = sriov(pf.config).get(CONTROL)
    require(not control & (VF_ENABLE | VF_MEMORY), f"SR-IOV control is {control:#x}")


def is_on_in_hardware(pf: Pf, number: int) -> None:
    space, both = sriov(pf.config), VF_ENABLE | VF_MEMORY
    control, found = space.get(CONTROL), space.get(NUM_VFS)
    require(control & both == both, f"SR-IOV control is {control:#x}")
    require(found == number, f"NumVFs is {found}, not {number}")


def keeps(pf: Pf, number: int = 2) -> None:
    """VFs that the kernel has found, and kept."""
    said_at_boot(left_enabled(pf, number), f"keeping the {number} VFs that are enabled")
    is_kept(pf, number)


def enables(pf: Pf, file: str, number: int, text: str) -> None:
    """Write a number; fail unless the log says exactly this about adopting VFs, and they are on."""
    log = KernelLog()
    pf.ok(file, number)
    found = [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text]
    require(found == [text], f"the log says {found}, not '{text}'")
    if number:
        is_on_in_hardware(pf, number)


def adopts(pf: Pf, file: str, number: int) -> None:
    enables(pf, file, number, f"adopting {number} VFs that were kept")


def declines(pf: Pf, why: str, *, file: str = NO_SCAN, number: int = 2) -> None:
    """Two were kept; they are not adopted but begun anew, for this reason."""
    enables(pf, file, number, f"not adopting the 2 VFs that were kept: {why}")


def space_of_vf(pf: Pf, number: int) -> Space:
    return Space(f"{pf.files.root.rstrip('/')}{DEVICES}/{pf.vf(number)}/config")


def make_bus_master(pf: Pf, number: int) -> None:
    """What a driver does, and what it may leave so."""
    space = space_of_vf(pf, number)
    space.put(COMMAND, space.get(COMMAND) | BUS_MASTER)
    require(bool(space.get(COMMAND) & BUS_MASTER), f"VF {number} cannot be made a bus master")


def answer_without_bus_master(pf: Pf, ids: str) -> None:
    """Add VFs 0 and 1, unless the stock file has done so; they answer, and do not reach memory by themselves."""
    if not pf.links():
        pf.ok("sriov_scan_vf_id", ids)
    for number in sorted(pf.links()):
        command = space_of_vf(pf, number).get(COMMAND)
        require(command != 0xFFFF, f"VF {number} does not answer")
        require(not command & BUS_MASTER, f"VF {number} is a bus master: command is {command:#x}")


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_off_for_everybody(pf: Pf) -> None:
    """Kept: enabled in hardware, no memory decoded; `sriov_numvfs` is 0, none is there, none can be added."""
    keeps(pf)
    pf.refused("sriov_scan_vf_id", 0, ENOENT)
    require(pf.read(NO_SCAN) == "0", f"{NO_SCAN} is {pf.read(NO_SCAN)}")
    is_kept(pf, 2)


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_by_no_scan(pf: Pf) -> None:
    """The same number to `sriov_numvfs_no_scan`: the log says so, they are on, absent, and answer when added."""
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.is_state(2, ())
    answer_without_bus_master(pf, "0-1")
    pf.is_state(2, (0, 1))


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_by_the_stock_file(pf: Pf) -> None:
    """The same number to `sriov_numvfs`: adopted, and all are there."""
    keeps(pf)
    adopts(pf, "sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_adopted_without_a_wait(pf: Pf) -> None:
    """Nothing waits for the hardware once the kernel has decided to adopt. Tried three times: the emulator may pause
    for so long by itself, the kernel would wait each time."""
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
    """Adopted VFs are disabled as all VFs are; enabled again they are not adopted."""
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


@case(vfs=3, real_only=True, words=KEEP)
def case_kept_vfs_of_another_number(pf: Pf) -> None:
    """More or fewer than were kept: begun anew."""
    for number in (1, 3):
        keeps(pf)
        declines(pf, "another number was asked for", number=number)
        answer_without_bus_master(pf, "0")


@case(real_only=True, words=KEEP)
def case_kept_vfs_after_a_reset_of_the_pf(pf: Pf) -> None:
    """A reset of the PF has disabled them: that is seen."""
    if not pf.files.exists(f"{pf.path}/reset"):
        raise SkippedError("this PF has no way to be reset")
    keeps(pf)
    pf.ok("reset", 1)
    is_off_in_hardware(pf)
    declines(pf, "VF Enable was cleared, by a reset of the PF or so")
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_with_a_bar_that_moved(pf: Pf) -> None:
    """A VF BAR that is elsewhere now: begun anew, with the BAR where the kernel has put it."""
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
    """Another bit of the control register (ARI) than was found: begun anew, with the register as it should be."""
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
    """Another page size than was found: begun anew, with the page size as it should be."""
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
    """Another NumVFs in hardware than was found: begun anew."""
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
    """Found with another page size: not kept, disabled, started from nothing."""
    refuses(pf, "the page size has changed", lambda space: space.flip(PAGE_SIZE, 3))


@case(real_only=True, words=KEEP)
def case_left_with_another_ari(pf: Pf) -> None:
    """Found with the other ARI bit than this kernel wants: not kept, disabled, started from nothing."""
    refuses(pf, "ARI has changed", lambda space: space.flip(CONTROL, ARI))


@case(real_only=True, words=KEEP)
def case_left_with_a_foreign_control_bit(pf: Pf) -> None:
    """Found with a bit that no kernel sets (VF migration): not kept, disabled, started from nothing."""
    why = "the SR-IOV control register has unknown bits"
    refuses(pf, why, lambda space: space.flip(CONTROL, MIGRATION_INTERRUPT))


@case(real_only=True, words=KEEP)
def case_left_with_no_numvfs(pf: Pf) -> None:
    """Found with VF Enable but none that is enabled: not kept, disabled, started from nothing."""
    refuses(pf, "NumVFs, VF offset or VF stride is invalid", lambda space: bool(space.get(CONTROL) & VF_ENABLE), 0)


@case(real_only=True, words=KEEP)
def case_left_with_too_many_numvfs(pf: Pf) -> None:
    """Found with more VFs than there are: not kept, disabled, started from nothing."""
    number, why = sriov(pf.config).get(TOTAL_VFS) + 1, "NumVFs, VF offset or VF stride is invalid"
    refuses(pf, why, lambda space: space.get(NUM_VFS) == number and bool(space.get(CONTROL) & VF_ENABLE), number)


def refuses(pf: Pf, why: str, change: Callable[[Space], bool], number: int = 2) -> None:
    """VFs are found with something changed, if the hardware lets it be changed (``change`` tells), and not kept."""
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


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_dropped_by_zero(pf: Pf) -> None:
    """0 to either file disables kept VFs, although it reads 0 before; after a second the hardware is as new."""
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
    """Kept VFs survive that the PF's driver goes, and are disabled by 0 to `sriov_numvfs` without one."""
    keeps(pf)
    unbind_pf(pf)
    is_kept(pf, 2)
    declines(pf, "0 VFs were asked for", file="sriov_numvfs", number=0)
    is_off_in_hardware(pf)


@case(real_only=True, words=KEEP)
def case_kept_vfs_are_kept_for_the_next_driver(pf: Pf) -> None:
    """A PF driver that asked for nothing leaves kept VFs to the next one, which adopts them."""
    keeps(pf)
    unbind_pf(pf)
    pf.undo.pop()()
    is_kept(pf, 2)
    adopts(pf, NO_SCAN, 2)
    answer_without_bus_master(pf, "0-1")


@case(real_only=True, words=KEEP)
def case_kept_vfs_go_with_the_pf(pf: Pf) -> None:
    """Removing the PF disables its kept VFs; after a rescan there is nothing to keep."""
    keeps(pf)
    log = KernelLog()
    back_again(pf)
    pf.ok("remove", 1)
    pf.undo.pop()()
    said = [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text or "keep" in line.text]
    require(said == ["not adopting the 2 VFs that were kept: the PF is removed"], f"the log says {said}")
    is_off_in_hardware(pf)
    pf.is_state(0, ())


def adopted_with_driver(pf: Pf) -> str:
    """Two adopted VFs, both present; the driver of VFs that is not vfio's."""
    driver = VF_DRIVERS.get(pf.driver)
    if driver is None or not pf.files.exists(f"{DRIVERS}/{driver}"):
        raise SkippedError(f"no driver is known for VFs of {pf.driver}, or this kernel has none")
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0-1")
    return driver


def forbid_reset(pf: Pf, number: int, forbid: bool = True) -> None:
    """No method is left to reset a VF, or all again."""
    path = f"{DEVICES}/{pf.vf(number)}/reset_method"
    if not pf.files.exists(path):
        raise SkippedError(f"VF {number} has no way to be reset")
    pf.files.write(path, "\n" if forbid else "default\n")


def refused_for_want_of_reset(pf: Pf, number: int, driver: str) -> bool:
    """Have a driver probe a VF, and let it go again: was it kept away because the VF cannot be reset?

    Whether the driver then likes the VF is its own affair: nvme does not, unless somebody has given the VF resources.
    """
    address = pf.vf(number)
    log = KernelLog()
    pf.files.write(f"{DEVICES}/{address}/driver_override", f"{driver}\n")
    errno_of(lambda: pf.files.write("/sys/bus/pci/drivers_probe", address))
    bound = pf.files.link(f"{DEVICES}/{address}/driver")
    pf.files.write(f"{DEVICES}/{address}/driver_override", "\n")
    if bound:
        unbind(pf, address)
    said = any("cannot be reset" in line.text for line in of_device(log.lines(), address))
    require(not (said and bound), f"{bound} was bound to VF {number} although it cannot be reset")
    return said


@case(real_only=True, words=KEEP)
def case_adopted_vf_is_reset_before_its_driver(pf: Pf) -> None:
    """A driver comes to an adopted VF only after a reset: none of another kernel's addresses can be used any more. One
    that cannot be reset gets no driver; once it was reset, by the probe or by hand, it needs no other reset."""
    driver = adopted_with_driver(pf)
    for number, by_hand in ((0, False), (1, True)):
        forbid_reset(pf, number)
        require(refused_for_want_of_reset(pf, number, driver), f"VF {number} was not reset before {driver}")
        forbid_reset(pf, number, False)
        if by_hand:
            pf.files.write(f"{DEVICES}/{pf.vf(number)}/reset", "1\n")
        else:
            require(not refused_for_want_of_reset(pf, number, driver), f"{driver} was refused VF {number}")
        forbid_reset(pf, number)
        require(not refused_for_want_of_reset(pf, number, driver), f"VF {number} was to be reset twice")


@case(real_only=True, words=KEEP)
def case_vf_begun_anew_is_not_reset(pf: Pf) -> None:
    """VFs that were not adopted are as new: no reset before a driver, nor after they were kept and dropped."""
    driver = adopted_with_driver(pf)
    pf.ok(NO_SCAN, 0)
    pf.ok(NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0")
    forbid_reset(pf, 0)
    require(not refused_for_want_of_reset(pf, 0, driver), "a VF that was begun anew was to be reset")


@case(real_only=True, words=KEEP)
def case_adopted_vf_is_not_reset_before_vfio(pf: Pf) -> None:
    """vfio-pci resets a VF when it is opened, so nothing does before: bound without a reset, and stale until one."""
    driver = adopted_with_driver(pf)
    forbid_reset(pf, 0)
    log = KernelLog()
    address = pf.vf(0)
    bind_vfio(pf, address)
    said = [line.text for line in of_device(log.lines(), address) if "reset" in line.text]
    require(not said, f"the log says {said}")
    pf.undo.pop()()
    unbind(pf, address)
    require(refused_for_want_of_reset(pf, 0, driver), f"{driver} got VF 0, which nobody has reset")


@case(real_only=True, words=KEEP)
def case_adopted_vf_is_no_bus_master(pf: Pf) -> None:
    """An adopted VF that was removed while it was a bus master is none when it is added again, nor was it meanwhile:
    else the log would say that it was left one."""
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0")
    make_bus_master(pf, 0)
    pf.ok("sriov_remove_vf_id", "0")
    log = KernelLog()
    answer_without_bus_master(pf, "0")
    said = [line.text for line in of_device(log.lines(), pf.address)]
    require(not any("was left a bus master" in text for text in said), f"the log says {said}")


def give_to_vfio(pf: Pf) -> list[str]:
    """The PF itself gets vfio-pci, which enables VFs if it is told to, and has declared nothing; what the log says."""
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
    """Before a PF driver that has not said that it can take over kept VFs (vfio-pci is one) they are disabled."""
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
    """`pci=sriov_keep_vfs=VENDOR:DEVICE`: kept for a driver that has declared nothing; that taints (U, bit 6)."""
    keeps(pf)
    said = give_to_vfio(pf)
    wanted = "VFs are kept by pci=sriov_keep_vfs=, although driver vfio-pci has not declared it"
    require(said == [wanted], f"the log says {said}")
    require(bool(int(pf.files.read("/proc/sys/kernel/tainted")) & TAINT_USER), "not tainted")
    is_kept(pf, 2)
    adopts(pf, "sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
    answer_without_bus_master(pf, "0-1")
