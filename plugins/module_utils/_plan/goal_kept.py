# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VFs keep that no wish is about: where they come back, and where a run before has not come to its end."""

from __future__ import annotations

from collections.abc import Collection

from .._model import eswitch
from .._model.journal_entry import JournalEntry
from .._model.properties import VfProperties
from .._model.state import PfState
from .goal import Goal


def kept_drivers(current: PfState, goal: Goal, wished: Collection[int]) -> dict[int, str]:
    """Drivers that VFs which come back, and that are not ``wished`` to have another, would not find by themselves."""
    unfinished = current.unfinished or JournalEntry()
    autoprobe = goal.autoprobe and (current.autoprobe if unfinished.autoprobe is None else unfinished.autoprobe)
    bound = {i: (vf.driver, vf.driver_override) for i, vf in current.vfs.items() if vf.driver}
    return {
        i: driver for i, (driver, override) in sorted({**bound, **unfinished.rebound}.items())
        if i in goal.present and i not in wished and (override or not autoprobe)
    }  # fmt: skip


def kept_properties(current: PfState, enabled: int) -> dict[int, VfProperties]:
    """Properties that somebody gave to VFs that come back: disabling forgets them all."""
    lost = eswitch.kept_by_nobody(current.driver, current.settings.eswitch_mode)
    readings = {i: p.without(lost) for i, p in current.properties.items() if i < enabled}
    return {i: given for i, reading in readings.items() if (given := reading.without_defaults())}


def with_unfinished(current: PfState, goal: Goal) -> Goal:
    """With what is owed to VFs that are present and stay and that no wish gives a driver to; a note says so."""
    unfinished = current.unfinished or JournalEntry()
    note = (
        f"PF {current.address}: a run before this one did not come to its end; what it had taken away for a moment "
        "comes back, unless it is declared otherwise"
    )
    stay = frozenset() if goal.disables_all else current.present & goal.present
    free = frozenset(i for i in stay if not goal.drivers.get(i))
    restored = {i: bound for i, bound in unfinished.rebound.items() if i in free}
    overrides = {**goal.overrides, **{vf_id: override for vf_id, (_driver, override) in restored.items()}}
    probed = unfinished.probed & free if goal.autoprobe else frozenset()
    return goal._replace(
        restored=restored, probed=probed, overrides=overrides, notes=(note, *goal.notes), warnings=(note,)
    )
