# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for lists of ids: forms, limits, reading back.

Lists of any length are read back.
"""

from __future__ import annotations

import os
from errno import E2BIG, EEXIST, EINVAL, ENODEV
from functools import partial

from harness import Pf, case, expand, require

PAGE = 4096


def in_and_out(pf: Pf, forms: dict[str, set[int]]) -> None:
    """Require that each text adds its ids, and removes them again."""
    pf.ok("sriov_numvfs_no_scan", 4)
    for text, ids in forms.items():
        pf.ok("sriov_scan_vf_id", text)
        pf.is_state(4, ids)
        pf.ok("sriov_remove_vf_id", text)
        pf.is_state(4, ())


@case(vfs=4)
def case_list_forms(pf: Pf) -> None:
    """Ranges, in any order, overlapping, repeated."""
    in_and_out(pf, {"0-1,3": {0, 1, 3}, "0-2,1-3": {0, 1, 2, 3}, "2,2,2\n": {2}, "3,0": {0, 3}, "0-0": {0}})


@case(vfs=4, real_only=True)
def case_list_forms_of_bitmap_parselist(pf: Pf) -> None:
    """Further forms of lib/bitmap-str.c: spaces, `all`, `N`, strides.

    `N` stands for the last id. The engine writes none of them.
    """
    in_and_out(pf, {" 1 , 2 \n": {1, 2}, "0-3:1/2": {0, 2}, "all": {0, 1, 2, 3}, "2-N": {2, 3}, ",,1": {1}})


@case(vfs=4, real_only=True)
def case_list_all_is_refused_with_one_present(pf: Pf) -> None:
    """`all` with one VF present: EEXIST, or ENODEV to remove.

    It lists the present VFs too; nothing changes.
    """
    pf.ok("sriov_numvfs_no_scan", 4)
    pf.ok("sriov_scan_vf_id", 2)
    pf.refused("sriov_scan_vf_id", "all", EEXIST)
    pf.refused("sriov_remove_vf_id", "all", ENODEV)
    pf.is_state(4, (2,))


@case()
def case_list_of_a_page_is_e2big(pf: Pf) -> None:
    """4,095 bytes are a list; from 4,096 on, E2BIG.

    Whatever is in it: fs/kernfs/file.c cuts the write there.
    """
    pf.ok("sriov_numvfs_no_scan", 2)
    for name in ("sriov_scan_vf_id", "sriov_remove_vf_id"):
        for size in (PAGE, PAGE + 1, 3 * PAGE):
            pf.refused(name, ("1," * PAGE * 2)[:size], E2BIG)
        pf.ok(name, ("1," * PAGE)[: PAGE - 1])
    pf.is_state(2, ())


@case(vfs=100)
def case_list_of_alternate_ids(pf: Pf) -> None:
    """Every other one of many VFs, by one write, read back."""
    ids = set(range(0, pf.total, 2))
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", ",".join(map(str, sorted(ids))))
    pf.is_state(pf.total, ids)
    pf.ok("sriov_remove_vf_id", ",".join(map(str, sorted(ids))))
    pf.is_state(pf.total, ())


@case(vfs=4, real_only=True)
def case_list_read_in_pieces(pf: Pf) -> None:
    """A list read in pieces of any size, ending without NUL.

    A binary attribute ends so.
    """
    pf.ok("sriov_numvfs_no_scan", pf.total)
    pf.ok("sriov_scan_vf_id", f"0-{pf.total - 1}:1/2")
    whole = pf.read("sriov_scan_vf_id") + "\n"
    require(expand(whole) == set(range(0, pf.total, 2)), f"reads '{whole}'")
    for size in (1, 3, 7, len(whole), len(whole) + 1, 2 * PAGE):
        handle = os.open(pf.files.root + f"{pf.path}/sriov_scan_vf_id", os.O_RDONLY)
        try:
            pieces = b"".join(iter(partial(os.read, handle, size), b""))
        finally:
            os.close(handle)
        require(pieces == whole.encode(), f"in pieces of {size}: {pieces!r}")


@case(vfs=4)
def case_list_of_two_lines_is_einval(pf: Pf) -> None:
    """NUL and newline as separators: EINVAL, and nothing changed.

    A newline may end the list.
    """
    pf.ok("sriov_numvfs_no_scan", 4)
    for text in ("1\0,2", "1\n2", "1\n\n", "\n1"):
        pf.refused("sriov_scan_vf_id", text, EINVAL)
    pf.is_state(4, ())
    pf.ok("sriov_scan_vf_id", "1,2\n")
    for text in ("1\0,2", "1\n2", "1\n\n", "\n1"):
        pf.refused("sriov_remove_vf_id", text, EINVAL)
    pf.is_state(4, (1, 2))
