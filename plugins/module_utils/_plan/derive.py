# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derivation of a PF's goal from its current state and spec.

Done once for each reading.
"""

from __future__ import annotations

from .._document.document import PfSpec
from .._model.state import PfState
from . import presence as _presence
from .goal import Disruption, Goal, Target


def goal_of(current: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved spec (numbers and sets, see `_document.resolve`)."""
    enabled = current.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    presence = _presence.presence_of(current, spec, enabled)
    refusal = ""
    if presence.disrupted and not spec.allow_disruptive:
        refusal = _presence.refusal(current, spec, enabled, presence)
    autoprobe = current.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe
    goal = Goal(
        Target(enabled, presence.ids, autoprobe, spec.settings),
        Disruption(presence.disables_all, presence.disrupted, refusal=refusal),
        notes=tuple(_presence.notes(current, spec, enabled, presence)),
    )
    if not enabled and (spec.vfs or spec.asked_max):
        from . import without_vfs  # late: most PFs have VFs

        goal = without_vfs.warned(current, spec, goal)
    if not (spec.vfs or presence.disables_all or spec.settings.eswitch_mode or current.unfinished):
        return goal
    from . import derive_vfs  # late: most PFs have no VFs with a spec of their own

    return derive_vfs.with_vfs(current, spec, goal)
