# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that two VFs, or VF and PF, would share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .._model.addresses import HASH
from .._model.errors import BadInputError
from .._model.properties import ADDRESSES, NO_GUID, NO_MAC

if TYPE_CHECKING:
    from .._model.state import PfState
    from .goal import Goal


def refuse_shared(pfs: Iterable[tuple[PfState, Goal]]) -> None:
    """Raise `BadInputError` naming both that would have one address.

    Of all PFs of a document: bases that ids are added to may meet, and bridges and switches know one port an address.
    What is set already, and not declared, counts too; an address that no plan sets is nobody's mistake here.
    """
    found: dict[tuple[str, str], tuple[str, bool]] = {}
    for name, address, holder, declared in (one for current, goal in pfs for one in _given(current, goal)):
        other, too = found.setdefault((name, address), (holder, declared))
        if other != holder and (declared or too):
            raise BadInputError(f"{name} {address} would be that of {other} and of {holder}; give one of them another")


def _given(current: PfState, goal: Goal) -> Iterator[tuple[str, str, str, bool]]:
    """Kind, address, holder in words, and whether the document says so."""
    if current.link and current.link.permanent:
        yield "mac", current.link.permanent, f"PF {current.address} itself", False
    kept = {} if goal.disruption.disables_all else current.properties
    for vf_id in sorted({*kept, *goal.target.properties}):
        wanted, have = goal.target.properties.get(vf_id), kept.get(vf_id)
        for name in ADDRESSES:
            declared = getattr(wanted, name, None)
            address = declared or getattr(have, name, None)
            if address not in (None, NO_MAC, NO_GUID, HASH):
                yield name, address, f"VF {vf_id} of PF {current.address}", declared is not None
