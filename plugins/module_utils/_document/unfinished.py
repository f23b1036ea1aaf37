# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unfinished run must give back, as a part of the desired state."""

from __future__ import annotations

from .._model import eswitch
from .._model.journal_entry import JournalEntry
from .._model.properties import VfProperties
from .._model.state import PfState
from .document import PfSpec
from .vf_spec import VfSpec


def with_unfinished(spec: PfSpec, state: PfState, ids: frozenset[int]) -> PfSpec:
    """What is owed to the VFs ``ids`` is wished as well, as far as the wish does not say otherwise."""
    unfinished = state.unfinished or JournalEntry()
    back = None if unfinished.present is None else (unfinished.present | state.present) & ids
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
