# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MTUs of VFs above that of their PF."""

from __future__ import annotations

from collections.abc import Iterator

from .._model.state import PfState
from .._model.vf_ids import describe
from .goal import Goal


def reasons(current: PfState, goal: Goal) -> Iterator[str]:
    """Reasons against the MTUs that VFs are to have, or keep.

    Of VFs whose MTU is not declared, only where that of the PF changes.
    """
    asked = goal.target.settings.mtu
    limit = asked or (current.link.mtu if current.link else 0)
    if not limit:
        return
    high: dict[tuple[int, bool], set[int]] = {}
    for vf_id, (mtu, declared) in _mtus(current, goal).items():
        if mtu > limit and (declared or asked not in (None, current.settings.mtu)):
            high.setdefault((mtu, declared), set()).add(vf_id)
    for (mtu, declared), ids in sorted(high.items()):
        of_pf = f"the {limit} declared for the PF" if asked else f"the PF's {limit}"
        fix = (
            "declare a higher mtu of the PF, or a lower one of the VFs" if declared else "declare a lower one for them"
        )
        yield f"mtu {mtu} of VFs {describe(ids)} is above {of_pf}, whose port would drop such frames; {fix}"


def _mtus(current: PfState, goal: Goal) -> dict[int, tuple[int, bool]]:
    """MTUs of present VFs by id, and whether they are declared."""
    kept = {} if goal.disruption.disables_all else current.devices
    known = {vf_id: (device.mtu, False) for vf_id, device in kept.items()}
    wanted = {vf_id: (device.mtu, True) for vf_id, device in goal.target.devices.items() if device.mtu is not None}
    both = {**known, **wanted}
    return {vf_id: (mtu, said) for vf_id, (mtu, said) in both.items() if mtu and vf_id in goal.target.present}
