# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The goal of a PF: its desired state as far as the kernel interface reaches."""

from __future__ import annotations

from .._document.document import PfSpec
from .._model.state import PfState
from . import presence as _presence
from .goal import Goal


def goal_of(current: PfState, spec: PfSpec) -> Goal:
    """The goal of a resolved wish (numbers and sets, see `_document.resolve`)."""
    enabled = current.enabled if spec.hardware_vfs is None else int(spec.hardware_vfs)
    presence = _presence.presence_of(current, spec, enabled)
    goal = Goal(
        enabled,
        presence.ids,
        current.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe,
        disables_all=presence.disables_all,
        notes=tuple(_presence.notes(current, spec, presence)),
        disrupted=presence.disrupted,
        settings=spec.settings,
    )
    if not (spec.vfs or presence.disables_all or spec.settings.eswitch_mode or current.unfinished):
        return goal
    from . import goal_vfs

    return goal_vfs.with_vfs(current, spec, presence, goal)
