# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF lacks of its goal, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._model import vf_ids
from .._model.state import PfState
from .goal import Goal


def shortfall(goal: Goal, current: PfState) -> list[str]:
    """What of the goal a reading does not show, each as "thing: wanted .., found ..": empty when it is reached."""
    facts = list(_pf_facts(goal, current))
    if goal.drivers or goal.overrides or goal.properties or goal.devices:
        from . import goal_vfs

        facts += goal_vfs.facts(goal, current)
    return [f"{thing}: wanted {wanted}, found {have}" for thing, wanted, have in facts if wanted != have]


def _pf_facts(goal: Goal, current: PfState) -> Iterator[tuple[str, Any, Any]]:
    yield "hardware_vfs", goal.enabled, current.enabled
    if goal.present != current.present:
        yield "present_vfs", vf_ids.describe(goal.present), vf_ids.describe(current.present)
    yield "drivers_autoprobe", goal.autoprobe, current.autoprobe
    for name, value in goal.settings.to_dict().items():
        yield name, value, getattr(current.settings, name)
