# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adopted VFs: reset before a driver can make them bus masters.

They were adopted from another kernel, and are no bus masters before.
"""

from __future__ import annotations

from cases_drivers import DRIVERS, bind_vfio, unbind
from harness import DEVICES, Pf, SkippedError, case, errno_of, require
from jumps import KEEP
from kept import NO_SCAN, VF_DRIVERS, adopts, answer_without_bus_master, keeps, make_bus_master
from kernel_log import KernelLog, of_device


def adopted_with_driver(pf: Pf) -> str:
    """Two adopted VFs, and the driver that is not vfio's.

    Both are present; the driver is the one that the kernel chooses for VFs.
    """
    driver = VF_DRIVERS.get(pf.driver)
    if driver is None or not pf.files.exists(f"{DRIVERS}/{driver}"):
        raise SkippedError(f"no driver is known for VFs of {pf.driver}, or this kernel has none")
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0-1")
    return driver


def forbid_reset(pf: Pf, number: int, forbid: bool = True) -> None:
    """Leave no method to reset a VF, or restore all."""
    path = f"{DEVICES}/{pf.vf(number)}/reset_method"
    if not pf.files.exists(path):
        raise SkippedError(f"VF {number} has no way to be reset")
    pf.files.write(path, "\n" if forbid else "default\n")


def refused_for_want_of_reset(pf: Pf, number: int, driver: str) -> bool:
    """Whether a VF without a reset method gets no driver.

    A driver is made to probe the VF, and unbound again.

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
    """A reset before a driver is bound to an adopted VF.

    None of another kernel's addresses can be used any more. A VF that cannot be reset gets no driver; once it was
    reset, by the probe or by hand, it needs no other reset.
    """
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
    """No reset of VFs that were not adopted.

    They are as new: no reset before a driver, nor after they were kept and dropped.
    """
    driver = adopted_with_driver(pf)
    pf.ok(NO_SCAN, 0)
    pf.ok(NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0")
    forbid_reset(pf, 0)
    require(not refused_for_want_of_reset(pf, 0, driver), "a VF that was begun anew was to be reset")


@case(real_only=True, words=KEEP)
def case_adopted_vf_is_not_reset_before_vfio(pf: Pf) -> None:
    """No reset before vfio-pci, which resets a VF when opened.

    Bound without a reset, it is stale until one.
    """
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
    """An adopted VF that is no bus master when added again.

    It was removed while it was a bus master. It was none meanwhile either: otherwise the log would report one that was
    left so.
    """
    keeps(pf)
    adopts(pf, NO_SCAN, 2)
    pf.ok("sriov_scan_vf_id", "0")
    make_bus_master(pf, 0)
    pf.ok("sriov_remove_vf_id", "0")
    log = KernelLog()
    answer_without_bus_master(pf, "0")
    said = [line.text for line in of_device(log.lines(), pf.address)]
    require(not any("was left a bus master" in text for text in said), f"the log says {said}")
