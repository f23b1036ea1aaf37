# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jumps of a kernel with VFs enabled.

With `pci=sriov_keep_vfs` the next kernel keeps them, without it it does not.
"""

from __future__ import annotations

from cases_drivers import DRIVERS
from harness import ANY, DEVICES, Pf, SkippedError, require
from jumps import KEEP, LISTED, Note, jump
from kept import (
    VF_DRIVERS,
    adopts,
    answer_without_bus_master,
    is_kept,
    is_off_in_hardware,
    left_enabled,
    make_bus_master,
    said_at_boot,
)
from kernel_log import KernelLog, Line, of_device
from sriov_config import PAGE_SIZE, sriov

WAIT_S = 0.9
"""Nearly the second that hardware gets after VF Enable was cleared."""


def waited(lines: list[Line]) -> float:
    """The longest time between two lines printed for a PF."""
    times = [line.seconds for line in lines]
    return max((later - sooner for sooner, later in zip(times, times[1:])), default=0.0)


def enumeration(pf: Pf) -> list[Line]:
    """Lines of this kernel's boot about the PF, until its VF BARs.

    Those come after the wait, if any.
    """
    lines = of_device(KernelLog(boot=True).lines(), pf.address)
    sized = [number for number, line in enumerate(lines) if line.text.startswith("VF BAR")]
    require(bool(sized) and " type 00 class " in lines[0].text, "the kernel's log does not have the PF's enumeration")
    return lines[: sized[0] + 1]


def make_busy(pf: Pf, number: int) -> None:
    """Make a VF busy, as a guest or driver does.

    It stays so until the kexec: bound if it can be, and a bus master.
    """
    address, driver = pf.vf(number), VF_DRIVERS.get(pf.driver)
    if driver and pf.files.exists(f"{DRIVERS}/{driver}"):
        pf.files.write(f"{DEVICES}/{address}/driver_override", f"{driver}\n")
        pf.files.write("/sys/bus/pci/drivers_probe", address)
    make_bus_master(pf, number)


@jump(words=KEEP)
def jump_kexec_keeps_vfs(pf: Pf, note: Note) -> None:
    """Kept VFs: enabled, off for everybody else, not waited for.

    They were in use. Enabled again in the same number they are adopted, answer, and are no bus masters: neither the one
    that was there when the kernel was left, nor the one that had been removed before.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", "0-1")
    note["address"] = pf.vf(1)
    make_busy(pf, 0)
    make_bus_master(pf, 1)
    pf.ok("sriov_remove_vf_id", 1)


@jump_kexec_keeps_vfs.after
def kexec_keeps_vfs_after(pf: Pf, note: Note) -> None:
    lines = enumeration(pf)
    said_at_boot(lines, f"keeping the {pf.total} VFs that are enabled")
    require(waited(lines) < WAIT_S, f"enumeration stood still for {waited(lines):.2f} s")
    is_kept(pf, pf.total)
    log = KernelLog()
    adopts(pf, "sriov_numvfs_no_scan", pf.total)
    pf.is_state(pf.total, ())
    require(pf.vf(1) == note["address"], f"VF 1 was at {note['address']}, is at {pf.vf(1)}")
    answer_without_bus_master(pf, "0-1")
    left = [line.text for line in of_device(log.lines(), pf.address) if "left a bus master" in line.text]
    require(not left, f"the kernel was left so: {left}")


@jump(words=KEEP, leaves=KEEP)
def jump_kexec_keeps_again(pf: Pf, note: Note) -> None:
    """Kept VFs that nobody has used, kept by the next kernel.

    The stock file adopts them and adds all.
    """
    left_enabled(pf, pf.total)
    is_kept(pf, pf.total)


@jump_kexec_keeps_again.after
def kexec_keeps_again_after(pf: Pf, note: Note) -> None:
    said_at_boot(enumeration(pf), f"keeping the {pf.total} VFs that are enabled")
    is_kept(pf, pf.total)
    adopts(pf, "sriov_numvfs", pf.total)
    pf.is_state(pf.total, range(pf.total))


@jump(words=LISTED)
def jump_kexec_refuses_another_page_size(pf: Pf, note: Note) -> None:
    """VFs with another page size: not kept, and a log line.

    The log gives the reason; they are off, then as usual.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    if not sriov(pf.config).flip(PAGE_SIZE, 3):
        raise SkippedError("this PF has a fixed page size")


@jump_kexec_refuses_another_page_size.after
def kexec_refuses_another_page_size_after(pf: Pf, note: Note) -> None:
    lines = enumeration(pf)
    said_at_boot(lines, "not keeping the 2 VFs that are enabled: the page size has changed")
    starts_from_nothing(pf, lines)
    require(sriov(pf.config).get(PAGE_SIZE) == 1, "the page size is not 4 KiB")


def starts_from_nothing(pf: Pf, lines: list[Line]) -> None:
    """Require VFs disabled by enumeration, after a wait.

    They can be enabled as ever.
    """
    require(waited(lines) >= WAIT_S, f"enumeration waited for {waited(lines):.2f} s only")
    is_off_in_hardware(pf)
    pf.is_state(0, ())
    new = pf.interface == "vf-id"
    pf.ok("sriov_numvfs_no_scan" if new else "sriov_numvfs", 2)
    pf.is_state(2, () if new else (0, 1))
    answer_without_bus_master(pf, "0-1")


@jump(words=f"{KEEP} elfcorehdr=0xf0000")
def jump_kexec_after_a_crash_keeps_none(pf: Pf, note: Note) -> None:
    """A kernel after a crash, which keeps no VFs.

    Its command line tells that it was started after a crash. (The address is one of the firmware's: there the kernel
    looks for the headers of a core, finds none, and goes on.)
    """
    pf.ok("sriov_numvfs_no_scan", 2)


@jump_kexec_after_a_crash_keeps_none.after
def kexec_after_a_crash_keeps_none_after(pf: Pf, note: Note) -> None:
    lines = enumeration(pf)
    said_at_boot(lines, "not keeping the 2 VFs that are enabled: the previous kernel has crashed")
    starts_from_nothing(pf, lines)


@jump(interfaces=ANY)
def jump_kexec_without_the_parameter(pf: Pf, note: Note) -> None:
    """VFs disabled without a message, after a second's wait.

    That is as ever.
    """
    new = pf.interface == "vf-id"
    pf.ok("sriov_numvfs_no_scan" if new else "sriov_numvfs", 2)


@jump_kexec_without_the_parameter.after
def kexec_without_the_parameter_after(pf: Pf, note: Note) -> None:
    lines = enumeration(pf)
    require(not any("keeping" in line.text for line in lines), "the log speaks of keeping VFs")
    starts_from_nothing(pf, lines)
