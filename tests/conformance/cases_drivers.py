# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases about drivers of VFs and PFs, on real kernels.

They show what binding allows.
"""

from __future__ import annotations

from errno import EBUSY, EIO, ENOENT, EOPNOTSUPP

from harness import DEVICES, Pf, SkippedError, case, errname, errno_of, require, wait_for
from jumps import LISTED
from sriov_config import BUS_MASTER, COMMAND, CONTROL, VF_ENABLE, VF_MEMORY, Space, sriov

DRIVERS = "/sys/bus/pci/drivers"
NEW_FILES = ("sriov_numvfs_no_scan", "sriov_scan_vf_id", "sriov_remove_vf_id")


def bind_vfio(pf: Pf, address: str) -> None:
    """Bind a function to vfio-pci by its driver_override.

    That is undone at the end of the case.
    """
    if not pf.files.exists(f"{DRIVERS}/vfio-pci"):
        raise SkippedError("this kernel has no vfio-pci")
    pf.files.write(f"{DEVICES}/{address}/driver_override", "vfio-pci\n")
    pf.undo.append(lambda: pf.files.write(f"{DEVICES}/{address}/driver_override", "\n"))
    pf.files.write("/sys/bus/pci/drivers_probe", address)
    if pf.files.link(f"{DEVICES}/{address}/driver") != "vfio-pci":
        raise SkippedError(f"vfio-pci does not take {address}: no IOMMU group?")


def unbind(pf: Pf, address: str) -> None:
    pf.files.write(f"{DEVICES}/{address}/driver/unbind", address)


def unbind_pf(pf: Pf) -> None:
    """Unbind the PF, and bind its driver again afterwards.

    It is bound again at the end of the case.
    """
    driver = pf.driver

    def rebind() -> None:
        if pf.driver != driver:
            pf.files.write(f"{DRIVERS}/{driver}/bind", pf.address)
        wait_for(lambda: pf.driver == driver, f"{driver} bound to {pf.address}")

    pf.undo.append(rebind)
    unbind(pf, pf.address)


@case(real_only=True)
def case_remove_bound_vf_is_ebusy(pf: Pf) -> None:
    """EBUSY for a bound VF; no VF of the list is removed.

    Unbound, it is removed.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", "0-1")
    bind_vfio(pf, pf.vf(1))
    pf.refused("sriov_remove_vf_id", 1, EBUSY)
    pf.refused("sriov_remove_vf_id", "0-1", EBUSY)
    pf.is_state(2, (0, 1))
    pf.undo.pop()()
    unbind(pf, pf.vf(1))
    pf.ok("sriov_remove_vf_id", "0-1")
    pf.is_state(2, ())


@case(real_only=True)
def case_scan_binds_nothing_with_autoprobe_off(pf: Pf) -> None:
    """No driver for added VFs while autoprobe is off.

    They can be bound by driver_override.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    require(pf.files.link(f"{DEVICES}/{pf.vf(1)}/driver") is None, "VF 1 is bound")
    bind_vfio(pf, pf.vf(1))
    pf.undo.pop()()
    unbind(pf, pf.vf(1))


@case(real_only=True)
def case_no_driver_is_enoent(pf: Pf) -> None:
    """A PF without a driver: ENOENT for every new file."""
    unbind_pf(pf)
    for name in NEW_FILES:
        pf.refused(name, 1, ENOENT)


@case(real_only=True)
def case_driver_without_opt_in_is_eopnotsupp(pf: Pf) -> None:
    """EOPNOTSUPP of every new file without the driver's opt-in.

    The PF's driver has not declared that VFs may be absent (vfio-pci is one).
    """
    if "sriov_absent_vfs=" in pf.files.read("/proc/cmdline"):
        raise SkippedError("pci=sriov_absent_vfs= is on the command line; its own case runs instead")
    unbind_pf(pf)
    bind_vfio(pf, pf.address)
    pf.undo.append(lambda: unbind(pf, pf.address))
    for name in NEW_FILES:
        pf.refused(name, 1, EOPNOTSUPP)


@case(real_only=True, words=LISTED)
def case_allow_list_admits_and_taints(pf: Pf) -> None:
    """A driver admitted by `pci=sriov_absent_vfs=VENDOR:DEVICE`, which taints when used.

    The driver has not opted in. The taint is U, bit 6.
    """
    unbind_pf(pf)
    bind_vfio(pf, pf.address)
    pf.undo.append(lambda: unbind(pf, pf.address))
    answer = pf.write("sriov_scan_vf_id", 0)
    require(answer == ENOENT, f"{errname(answer)}, expected ENOENT: admitted, SR-IOV off")
    require(bool(int(pf.files.read("/proc/sys/kernel/tainted")) & 64), "not tainted")


@case(real_only=True)
def case_unbound_pf_keeps_or_disables(pf: Pf) -> None:
    """Unbinding the PF with no VF present.

    Its driver disables SR-IOV (igb) or leaves it on (nvme), for a new start.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    unbind_pf(pf)
    enabled = int(pf.read("sriov_numvfs"))
    require(enabled in (0, 2) and not pf.links(), f"{enabled} enabled, {sorted(pf.links())} present")
    pf.refused("sriov_scan_vf_id", 0, ENOENT)
    pf.undo.pop()()
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.is_state(2, (1,))


@case(real_only=True)
def case_reset_of_pf_keeps_vfs(pf: Pf) -> None:
    """A function-level reset of the PF, with one VF present.

    The rest can be added after it.
    """
    if not pf.files.exists(f"{pf.path}/reset"):
        raise SkippedError("this PF has no way to be reset")
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    answer = errno_of(lambda: pf.files.write(f"{pf.path}/reset", "1"))
    require(answer == 0, f"reset: {errname(answer)}")
    pf.ok("sriov_scan_vf_id", 0)
    pf.is_state(2, (0, 1))


@case(real_only=True)
def case_scan_without_vf_enable_is_eio(pf: Pf) -> None:
    """EIO when VF Enable was cleared behind the kernel's back.

    Nothing is added, with no VF present and with one. Disabled and enabled again, VFs work.
    """
    for present in ((), (1,)):
        pf.ok("sriov_numvfs_no_scan", 2)
        for number in present:
            pf.ok("sriov_scan_vf_id", number)
        space = sriov(pf.config)
        space.put(CONTROL, space.get(CONTROL) & ~(VF_ENABLE | VF_MEMORY))
        pf.refused("sriov_scan_vf_id", 0, EIO)
        pf.is_state(2, present)
        pf.ok("sriov_numvfs_no_scan", 0)
        pf.ok("sriov_numvfs_no_scan", 2)
        pf.ok("sriov_scan_vf_id", "0-1")
        pf.is_state(2, (0, 1))
        pf.ok("sriov_numvfs_no_scan", 0)


@case(real_only=True)
def case_removed_vf_is_no_bus_master(pf: Pf) -> None:
    """A removed VF without access to memory.

    Nobody would stop it when the kernel is left.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    space = Space(f"{pf.files.root.rstrip('/')}{DEVICES}/{pf.vf(1)}/config")
    space.put(COMMAND, space.get(COMMAND) | BUS_MASTER)
    require(bool(space.get(COMMAND) & BUS_MASTER), "VF 1 cannot be made a bus master")
    pf.ok("sriov_remove_vf_id", 1)
    pf.ok("sriov_scan_vf_id", 1)
    require(not space.get(COMMAND) & BUS_MASTER, f"VF 1 is a bus master: command is {space.get(COMMAND):#x}")
