# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the stock files, which every kernel has.

They are what the engine relies on, and what no series may change.
"""

from __future__ import annotations

from errno import EBUSY, EINVAL, ERANGE

from harness import ANY, DEVICES, Pf, case, require


@case(interfaces=ANY)
def case_stock_enable_adds_every_vf(pf: Pf) -> None:
    """`sriov_numvfs` N: N VFs enabled, ids 0..N-1 present."""
    pf.ok("sriov_numvfs", pf.total)
    pf.is_state(pf.total, range(pf.total))


@case(interfaces=ANY)
def case_stock_disable_removes_every_vf(pf: Pf) -> None:
    """`sriov_numvfs` 0: nothing enabled, nothing present."""
    pf.ok("sriov_numvfs", 2)
    pf.ok("sriov_numvfs", 0)
    pf.is_state(0, ())


@case(interfaces=ANY)
def case_stock_same_number_again_is_nothing(pf: Pf) -> None:
    """The same number again: success, and nothing changed.

    0 when off likewise.
    """
    pf.ok("sriov_numvfs", 0)
    pf.ok("sriov_numvfs", 2)
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))


@case(interfaces=ANY)
def case_stock_other_number_is_ebusy(pf: Pf) -> None:
    """Another number than the one that is on: EBUSY, nothing changes."""
    pf.ok("sriov_numvfs", 2)
    pf.refused("sriov_numvfs", 1, EBUSY)
    pf.is_state(2, (0, 1))


@case(interfaces=ANY)
def case_stock_too_many_is_erange(pf: Pf) -> None:
    """More than `sriov_totalvfs`: ERANGE."""
    pf.refused("sriov_numvfs", pf.total + 1, ERANGE)
    pf.is_state(0, ())


@case(interfaces=ANY)
def case_stock_garbage_is_einval(pf: Pf) -> None:
    """No number, a negative one, one beyond 16 bits: EINVAL."""
    for value in ("", "\n", "two", "-1", "65536", "1 2"):
        if value:
            pf.refused("sriov_numvfs", value, EINVAL)
    pf.is_state(0, ())


@case(interfaces=ANY)
def case_stock_autoprobe_off_leaves_vfs_unbound(pf: Pf) -> None:
    """`sriov_drivers_autoprobe` 0: present VFs have no driver."""
    pf.ok("sriov_numvfs", 2)
    bound = [number for number in (0, 1) if pf.files.link(f"{DEVICES}/{pf.vf(number)}/driver")]
    require(not bound, f"VFs {bound} are bound to a driver")


@case(interfaces=ANY)
def case_stock_vf_links_both_ways(pf: Pf) -> None:
    """`virtfnN` to the VF's address, and `physfn` back.

    Offset and stride give the address.
    """
    pf.ok("sriov_numvfs", 2)
    for number in (0, 1):
        require(pf.files.link(f"{pf.path}/virtfn{number}") == pf.vf(number), f"virtfn{number} is not {pf.vf(number)}")
        back = pf.files.link(f"{DEVICES}/{pf.vf(number)}/physfn")
        require(back == pf.address, f"physfn of VF {number} is {back}")


@case(interfaces=ANY)
def case_stock_vfs_have_no_remove_file(pf: Pf) -> None:
    """No `remove` file of a VF.

    After drivers/pci/pci-sysfs.c, pci_dev_hp_attrs_are_visible.
    """
    pf.ok("sriov_numvfs", 2)
    require(not pf.files.exists(f"{DEVICES}/{pf.vf(0)}/remove"), "VF 0 has a file 'remove'")
