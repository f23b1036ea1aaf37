# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs that were adopted from another kernel: reset before a driver may make them bus masters, and no masters before."""

from __future__ import annotations

from cases_drivers import DRIVERS, bind_vfio, unbind
from harness import DEVICES, Pf, SkippedError, case, errno_of, require
from jumps import KEEP
from kept import NO_SCAN, VF_DRIVERS, adopts, answer_without_bus_master, keeps, make_bus_master
from kernel_log import KernelLog, of_device


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
