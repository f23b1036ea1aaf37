# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interface names that two VFs of a document would share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._model.errors import BadInputError

if TYPE_CHECKING:
    from .._model.state import PfState
    from .goal import Goal


def refuse_shared_names(pfs: Iterable[tuple[PfState, Goal]]) -> None:
    """Raise `BadInputError` naming both VFs, or the PF, with one name."""
    found: dict[str, str] = {}
    for current, goal in pfs:
        found.update(dict.fromkeys(current.netdevs, f"PF {current.address} itself"))
        for vf_id, device in sorted(goal.target.devices.items()):
            if device.name is None:
                continue
            holder = f"VF {vf_id} of PF {current.address}"
            if found.setdefault(device.name, holder) != holder:
                both = f"{found[device.name]} and of {holder}"
                raise BadInputError(f"name {device.name} would be that of {both}; give one of them another")
