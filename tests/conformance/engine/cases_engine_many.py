# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on a PF with thousands of VFs."""

from __future__ import annotations

import many_vfs
from cases_engine import declare
from harness import Pf, case, require
from kvmfleet_sriov._model import vf_ids

VFS = many_vfs.VFS


@case(vfs=VFS)
def case_many_by_the_engine(pf: Pf) -> None:
    """Every other id, then all, then the others, of thousands.

    Each is declared once more, which has no steps.
    """
    even = set(range(0, pf.total, 2))
    for desired in (even, set(range(pf.total)), set(range(pf.total)) - even):
        spec = {"hardware_vfs": "max", "present_vfs": vf_ids.compress(desired), "drivers_autoprobe": False}
        require(declare(pf, spec)["changed"], "nothing changed")
        pf.is_state(pf.total, desired)
        again = declare(pf, spec)
        require(not again["changed"], f"the second run did {str(again['steps'])[:200]}")
    declare(pf, {"hardware_vfs": 0, "present_vfs": "none"})
    pf.is_state(0, ())
