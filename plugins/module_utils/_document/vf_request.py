# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request for some VFs of a PF, the parameters of `sriov_vf`.

All other VFs stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._model.values import shown
from . import selector, shape
from .document import HostDocument, PfSpec
from .vf_spec import VF_KEYS, check_alike, vf_spec

PRESENT, ABSENT = "present", "absent"
_KEYS = ("pf", "state", *VF_KEYS)
WHERE = "sriov_vf"


def validate(data: Mapping[str, object]) -> HostDocument:
    """The request as a document for its PF.

    Null values count as omitted; ``state`` is `PRESENT` when omitted. Raises `BadInputError` with all mistakes, each
    naming the key, the value and the fix.
    """
    mistakes = shape.Mistakes()
    given = shape.mapping(data, WHERE, _KEYS, mistakes)
    pf: selector.PfName = ""
    with mistakes:
        pf = selector.validate(given.pop("pf", None), f"{WHERE}.pf")
    state = given.pop("state", PRESENT)
    vf = vf_spec(given, WHERE, mistakes)
    with mistakes:
        check_alike(pf, (vf,), WHERE)
    declared = vf.names()
    if state not in (PRESENT, ABSENT):
        mistakes.add(f"{WHERE}.state: {shown(state)} is not {PRESENT} or {ABSENT}")
    elif state == ABSENT and declared:
        what = ", ".join(declared)
        mistakes.add(f"{WHERE}.{what}: VFs that are to be absent take no {what}; leave it out")
    mistakes.raise_found()
    spec = PfSpec(pf, vfs=(vf,), add_vfs=vf.ids) if state == PRESENT else PfSpec(pf, remove_vfs=vf.ids)
    return HostDocument((spec,))
