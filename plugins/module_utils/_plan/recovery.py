# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery of an unfinished run: a plan's temporary changes, for the journal."""

from __future__ import annotations

from dataclasses import replace

from .._model.journal_entry import JournalEntry
from .plan import Plan
from .presence import all_new


def unfinished_if_stopped(plan: Plan) -> JournalEntry:
    """The journal entry that the next run needs if this plan stops.

    An entry that a previous run has left takes precedence.
    """
    current, goal = plan.current, plan.goal
    toggles = any(step.what == "autoprobe" for step in plan.steps)
    before = current.autoprobe if toggles and plan.spec.drivers_autoprobe in (None, current.autoprobe) else None
    rebound, probed = goal.preserved.rebound, [step.ids for step in plan.steps if step.is_kernels_choice]
    for_a_moment = any(step.what == "link" for step in plan.steps) and plan.spec.settings.link is None
    link = current.settings.link if for_a_moment else None
    unfinished = JournalEntry(autoprobe=before, rebound=rebound, probed=frozenset().union(*probed), link=link)
    undeclared = plan.spec.present_vfs is None and current.abilities.enable_only
    if undeclared and all_new(current, plan.spec, goal.target.enabled):
        unfinished = replace(unfinished, enabled=current.enabled)  # so that the next run adds those that are missing
    if goal.disruption.disables_all:
        unfinished = JournalEntry(
            current.enabled, current.present, before, goal.preserved.drivers, goal.preserved.properties, rebound,
            unfinished.probed, link,
        )  # fmt: skip
    return (current.unfinished or JournalEntry()).over(unfinished)
