# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for `sriov_numvfs_no_scan`, `sriov_scan_vf_id` and `sriov_remove_vf_id`: files, semantics and errors."""

from __future__ import annotations

from errno import EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ERANGE

from harness import Pf, case, require


@case()
def case_no_scan_enables_without_adding(pf: Pf) -> None:
    """N to `sriov_numvfs_no_scan`: N enabled in hardware, none present."""
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.is_state(pf.total, ())


@case()
def case_no_scan_reads_as_numvfs(pf: Pf) -> None:
    """`sriov_numvfs_no_scan` reads as `sriov_numvfs`, on and off."""
    for number in (0, 2):
        pf.ok("sriov_numvfs_no_scan", number)
        require(pf.read("sriov_numvfs_no_scan") == pf.read("sriov_numvfs") == str(number), f"not {number} in both")


@case()
def case_no_scan_same_number_is_nothing(pf: Pf) -> None:
    """The same N again: success, and no VF changed.

    Neither present nor absent VFs are touched; 0 when off likewise.
    """
    pf.ok("sriov_numvfs_no_scan", 0)
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.is_state(2, (1,))


@case()
def case_no_scan_zero_removes_and_disables(pf: Pf) -> None:
    """0 removes the present VFs and disables."""
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.ok("sriov_numvfs_no_scan", 0)
    pf.is_state(0, ())


@case()
def case_no_scan_zero_after_stock_enable(pf: Pf) -> None:
    """0 to the new file ends what the stock file began."""
    pf.ok("sriov_numvfs", 2)
    pf.ok("sriov_numvfs_no_scan", 0)
    pf.is_state(0, ())


@case()
def case_no_scan_same_number_after_stock_enable(pf: Pf) -> None:
    """The N that the stock file enabled: nothing, every VF stays."""
    pf.ok("sriov_numvfs", 2)
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.is_state(2, (0, 1))


@case()
def case_no_scan_other_number_is_ebusy(pf: Pf) -> None:
    """Another N while one is on: EBUSY."""
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.refused("sriov_numvfs_no_scan", 1, EBUSY)
    pf.is_state(2, ())


@case()
def case_no_scan_too_many_is_erange(pf: Pf) -> None:
    """More than `sriov_totalvfs`: ERANGE."""
    pf.refused("sriov_numvfs_no_scan", pf.total + 1, ERANGE)
    pf.is_state(0, ())


@case()
def case_no_scan_garbage_is_einval(pf: Pf) -> None:
    """No number at all, a negative one, one beyond 16 bits: EINVAL."""
    for value in ("\n", "two", "-1", "65536", "1 2", "0-3"):
        pf.refused("sriov_numvfs_no_scan", value, EINVAL)
    pf.is_state(0, ())


@case()
def case_scan_adds_one_id(pf: Pf) -> None:
    """One id: that VF is present and no other.

    VF 0 need not exist.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", pf.total - 1)
    pf.is_state(pf.total, (pf.total - 1,))


@case(vfs=4)
def case_scan_adds_a_list(pf: Pf) -> None:
    """A list with ranges: all of them are present."""
    pf.ok("sriov_numvfs_no_scan", 4)
    pf.ok("sriov_scan_vf_id", "0-1,3\n")
    pf.is_state(4, (0, 1, 3))


@case()
def case_scan_any_order(pf: Pf) -> None:
    """Ids may be added from the highest down, one write each."""
    pf.ok("sriov_numvfs_no_scan", pf.total)
    for number in reversed(range(pf.total)):
        pf.ok("sriov_scan_vf_id", number)
    pf.is_state(pf.total, range(pf.total))


@case()
def case_scan_present_id_is_eexist(pf: Pf) -> None:
    """A listed VF that is present: EEXIST.

    None of the others is added.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.refused("sriov_scan_vf_id", 1, EEXIST)
    pf.refused("sriov_scan_vf_id", "0-1", EEXIST)
    pf.is_state(2, (1,))


@case()
def case_scan_id_beyond_enabled_is_enodev(pf: Pf) -> None:
    """An id that is not below the enabled number: ENODEV.

    None of the others is added.
    """
    pf.ok("sriov_numvfs_no_scan", 1)
    for value in ("1", "0-1", "0,1", "65536", "5000000000"):
        pf.refused("sriov_scan_vf_id", value, ENODEV)
    pf.is_state(1, ())


@case()
def case_scan_while_off_is_enoent(pf: Pf) -> None:
    """SR-IOV off: ENOENT, for adding and for removing."""
    pf.refused("sriov_scan_vf_id", 0, ENOENT)
    pf.refused("sriov_remove_vf_id", 0, ENOENT)


@case()
def case_scan_garbage_is_einval(pf: Pf) -> None:
    """Unparsable or empty: EINVAL, for adding and for removing."""
    pf.ok("sriov_numvfs_no_scan", 2)
    for name in ("sriov_scan_vf_id", "sriov_remove_vf_id"):
        for value in ("\n", " ", ",", "one", "-1", "1-", "1-0", "0x1", "0;1"):
            pf.refused(name, value, EINVAL)
    pf.is_state(2, ())


@case()
def case_scan_reads_empty_line_for_none(pf: Pf) -> None:
    """No VF present: `sriov_scan_vf_id` is an empty line, on and off."""
    require(pf.read("sriov_scan_vf_id") == "", "not empty with SR-IOV off")
    pf.ok("sriov_numvfs_no_scan", 2)
    require(pf.read("sriov_scan_vf_id") == "", "not empty with none present")


@case()
def case_scan_reads_back_after_stock_enable(pf: Pf) -> None:
    """After the stock file: all ids, as one range."""
    pf.ok("sriov_numvfs", pf.total)
    require(pf.read("sriov_scan_vf_id") == f"0-{pf.total - 1}", f"reads '{pf.read('sriov_scan_vf_id')}'")


@case()
def case_remove_makes_absent_and_keeps_enabled(pf: Pf) -> None:
    """A removed VF: absent, still enabled, and it can be added.

    The enabled number stays.
    """
    pf.ok("sriov_numvfs", 2)
    pf.ok("sriov_remove_vf_id", 0)
    pf.is_state(2, (1,))
    pf.ok("sriov_scan_vf_id", 0)
    pf.is_state(2, (0, 1))


@case(vfs=4)
def case_remove_takes_a_list(pf: Pf) -> None:
    """A list: all of them are removed."""
    pf.ok("sriov_numvfs", 4)
    pf.ok("sriov_remove_vf_id", "0,2-3")
    pf.is_state(4, (1,))


@case()
def case_remove_absent_is_enodev(pf: Pf) -> None:
    """An absent VF, or an id beyond the enabled number: ENODEV.

    None of the others is removed.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 0)
    for value in ("1", "0-1", "0,2", "2"):
        pf.refused("sriov_remove_vf_id", value, ENODEV)
    pf.is_state(2, (0,))


@case()
def case_numvfs_completes_missing_vfs(pf: Pf) -> None:
    """The same N to the stock file: every missing VF added.

    From none, from some, and after a removal.
    """
    for present in ((), (1,), (0, 1)):
        pf.reset()
        pf.ok("sriov_numvfs_no_scan", 2)
        for number in present:
            pf.ok("sriov_scan_vf_id", number)
        pf.ok("sriov_numvfs", 2)
        pf.is_state(2, (0, 1))
    pf.ok("sriov_remove_vf_id", 0)
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))


@case()
def case_numvfs_other_number_after_no_scan_is_ebusy(pf: Pf) -> None:
    """Another N to the stock file after no_scan: EBUSY.

    Nothing is added.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.refused("sriov_numvfs", 1, EBUSY)
    pf.is_state(2, ())


@case()
def case_numvfs_zero_disables_after_no_scan(pf: Pf) -> None:
    """0 to the stock file: the end of no_scan mode.

    With none and with some VFs present; then N adds all again.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_numvfs", 0)
    pf.is_state(0, ())
    pf.ok("sriov_numvfs_no_scan", 2)
    pf.ok("sriov_scan_vf_id", 1)
    pf.ok("sriov_numvfs", 0)
    pf.ok("sriov_numvfs", 2)
    pf.is_state(2, (0, 1))
