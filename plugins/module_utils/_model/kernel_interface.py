# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which interface the running kernel offers for the VFs of a PF: seen by its files, never by the kernel's version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Interface(NamedTuple):
    """What userspace can do with the VFs of one PF.

    ``enable_only``: enable in hardware without adding. ``choose``: add chosen ids. ``lists``: add many with one write.
    ``remove``: take single VFs away. ``first_always``: VF 0 is added when VFs are enabled, wanted or not.
    ``one_queue``: a write that waits, for the user of a VF or for a driver, may make those to other PFs wait as well.
    """

    name: str
    enable_only: bool = False
    choose: bool = False
    lists: bool = False
    remove: bool = False
    first_always: bool = False
    one_queue: bool = False


VF_ID = Interface("vf-id", enable_only=True, choose=True, lists=True, remove=True)
"""Files sriov_numvfs_no_scan, sriov_scan_vf_id (read and write), sriov_remove_vf_id."""

VF_ID_NARROW = Interface("vf-id-narrow", enable_only=True, choose=True, first_always=True, one_queue=True)
"""The form of the 2022 RFC "pci/sriov: support VFs dynamic addition": one id a write, no reading, no removal."""

STOCK = Interface("stock", one_queue=True)
"""sriov_numvfs alone: as many VFs present as are enabled, another number only by way of 0."""

INTERFACES = {interface.name: interface for interface in (VF_ID, VF_ID_NARROW, STOCK)}


def of_files(names: Iterable[str]) -> Interface:
    """The interface of a PF whose sysfs folder holds ``names``."""
    have = set(names)
    if not {"sriov_numvfs_no_scan", "sriov_scan_vf_id"} <= have:
        return STOCK
    return VF_ID if "sriov_remove_vf_id" in have else VF_ID_NARROW
