# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for VFs that another kernel has left enabled.

They make such VFs, and check what must hold for them. The other kernel is this one: VFs are enabled behind its back,
then it forgets the PF and finds it again, which is the same code as at boot. Real jumps are in jumps_kept.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cases_removal import back_again
from harness import DEVICES, Pf, require
from kernel_log import KernelLog, Line, of_device
from sriov_config import BUS_MASTER, COMMAND, CONTROL, NUM_VFS, VF_ENABLE, VF_MEMORY, Space, sriov

NO_SCAN = "sriov_numvfs_no_scan"
VF_DRIVERS = {"igb": "igbvf", "nvme": "nvme"}
"""Driver of the VFs other than vfio, by the PF's."""


def left_enabled(pf: Pf, number: int, change: Callable[[Space], object] = bool) -> list[Line]:
    """Have the kernel find the PF with VFs enabled.

    A ``change`` to the capability comes before; returns what the kernel prints about that.
    """
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
    """Require exactly this message of enumeration about keeping VFs."""
    found = [line.text for line in lines if "keeping" in line.text]
    require(found == [text], f"the log says {found}, not '{text}'")


def is_kept(pf: Pf, number: int) -> None:
    """Require VFs enabled in hardware, without memory decoded.

    Everybody else sees a PF that is off.
    """
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
    """Have the kernel find VFs, and keep them."""
    said_at_boot(left_enabled(pf, number), f"keeping the {number} VFs that are enabled")
    is_kept(pf, number)


def enables(pf: Pf, file: str, number: int, text: str) -> None:
    """Write a number and require exactly this message about adopting.

    The VFs must be on then.
    """
    log = KernelLog()
    pf.ok(file, number)
    found = [line.text for line in of_device(log.lines(), pf.address) if "adopting" in line.text]
    require(found == [text], f"the log says {found}, not '{text}'")
    if number:
        is_on_in_hardware(pf, number)


def adopts(pf: Pf, file: str, number: int) -> None:
    enables(pf, file, number, f"adopting {number} VFs that were kept")


def declines(pf: Pf, why: str, *, file: str = NO_SCAN, number: int = 2) -> None:
    """Require two kept VFs to be begun anew, for this reason.

    They are not adopted.
    """
    enables(pf, file, number, f"not adopting the 2 VFs that were kept: {why}")


def space_of_vf(pf: Pf, number: int) -> Space:
    return Space(f"{pf.files.root.rstrip('/')}{DEVICES}/{pf.vf(number)}/config")


def make_bus_master(pf: Pf, number: int) -> None:
    """Make a VF a bus master, as a driver may leave it."""
    space = space_of_vf(pf, number)
    space.put(COMMAND, space.get(COMMAND) | BUS_MASTER)
    require(bool(space.get(COMMAND) & BUS_MASTER), f"VF {number} cannot be made a bus master")


def answer_without_bus_master(pf: Pf, ids: str) -> None:
    """Require that VFs 0 and 1 answer, and are no bus masters.

    They are added first, unless the stock file has done so; they do not reach memory by themselves.
    """
    if not pf.links():
        pf.ok("sriov_scan_vf_id", ids)
    for number in sorted(pf.links()):
        command = space_of_vf(pf, number).get(COMMAND)
        require(command != 0xFFFF, f"VF {number} does not answer")
        require(not command & BUS_MASTER, f"VF {number} is a bus master: command is {command:#x}")
