# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request for some VFs of a PF, the parameters of `sriov_vf`.

All other VFs stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from .._model.errors import BadInputError
from . import selector, shape
from .document import HostDocument, PfSpec
from .vf_spec import VF_KEYS, check_alike, vf_spec

PRESENT, ABSENT = "present", "absent"
_KEYS = ("pf", "state", *VF_KEYS)
WHERE = "sriov_vf"


def validate(data: Mapping[str, object]) -> HostDocument:
    """The request as a document for its PF.

    Null values count as omitted; ``state`` is `PRESENT` when omitted. Raises `BadInputError` naming the key, the value
    and the fix.
    """
    given = shape.mapping(data, WHERE, _KEYS)
    pf, state = selector.validate(given.pop("pf", None), f"{WHERE}.pf"), given.pop("state", PRESENT)
    vf = vf_spec(given, WHERE)
    if state == PRESENT:
        check_alike(pf, (vf,), WHERE)
        return HostDocument((PfSpec(pf, vfs=(vf,), add_vfs=vf.ids),))
    if state != ABSENT:
        raise BadInputError(f"{WHERE}.state: {state!r} is not {PRESENT} or {ABSENT}")
    if declared := sorted(set(vf.to_dict()) - {"ids"}):
        raise BadInputError(f"{WHERE}.{declared[0]}: VFs that are to be absent take no {declared[0]}; leave it out")
    return HostDocument((PfSpec(pf, remove_vfs=vf.ids),))
