# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The goal of a PF: its desired state as far as the kernel interface reaches."""

from __future__ import annotations

from .._document.document import PfSpec
from .._model.state import PfState
from . import presence as _presence
from .goal import Goal


def goal_of(found: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved wish (numbers and sets, see `_document.resolve`)."""
    enabled = found.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    presence = _presence.presence_of(found, spec, enabled)
    goal = Goal(
        enabled,
        presence.ids,
        found.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe,
        cycle=presence.cycle,
        notes=tuple(_presence.notes(found, spec, presence)),
        kills=presence.kills,
        settings=spec.settings,
    )
    if not (spec.vfs or presence.cycle or spec.settings.eswitch_mode or found.owed):
        return goal
    from . import goal_vfs

    return goal_vfs.with_vfs(found, spec, presence, goal)
