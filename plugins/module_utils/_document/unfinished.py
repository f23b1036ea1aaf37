# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an unfinished run as a part of the spec."""

from __future__ import annotations

from .._model import eswitch
from .._model.journal_entry import JournalEntry
from .._model.properties import VfProperties
from .._model.state import PfState
from .document import PfSpec
from .vf_spec import VfSpec


def with_unfinished(spec: PfSpec, state: PfState, ids: frozenset[int]) -> PfSpec:
    """The spec extended by the journal entry of an unfinished run.

    Only for VFs of ``ids``, and as far as the spec does not declare otherwise. With another number of
    VFs than before that run, all are present (`presence.all_new`).
    """
    unfinished = state.unfinished or JournalEntry()
    back = None if unfinished.present is None else (unfinished.present | state.present) & ids
    if unfinished.enabled not in (None, len(ids)) and not spec.unmanaged:
        back = ids
    lost = eswitch.kept_by_nobody(state.driver, spec.settings.eswitch_mode)
    given = {
        i: VfSpec(frozenset({i}), unfinished.drivers.get(i), unfinished.properties.get(i, VfProperties()).without(lost))
        for i in sorted({*unfinished.drivers, *unfinished.properties} & ids)
    }  # fmt: skip
    return spec._replace(
        present_vfs=back if spec.present_vfs is None else spec.present_vfs,
        drivers_autoprobe=unfinished.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe,
        vfs=(*given.values(), *spec.vfs),
    )
