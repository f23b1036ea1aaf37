# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF will be when a wish is fulfilled as far as its kernel's interface can, and how far a reading is from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .._model.settings import PfSettings
from .._model.state import NONE, PfState

if TYPE_CHECKING:
    from .._model.journal_entry import Bound
    from .._model.properties import VfProperties
    from .._model.vf_device import VfDevice


class Goal(NamedTuple):
    """``drivers`` of present VFs by id (None: no override), ``properties`` of enabled ones by id.

    ``disables_all``: the change requires disabling all VFs first, which takes the VFs ``disrupted`` away from whoever
    counts on them. ``notes``: where the interface gives less than is desired, and what this costs. ``warnings``: those
    of them that ask an operator for an action and end with this run; a note that stands, run after run, is none.
    ``settings`` of the PF and ``devices`` of present VFs hold what is desired. ``released`` are bound VFs that stay and
    that no driver may have while the mode of the eswitch changes; ``rebound`` are the drivers of VFs without a declared
    one that must release them for a moment, and get them back. ``kept_drivers`` and ``kept_properties`` are
    what VFs that come back keep though nothing declares it. ``restored`` and ``probed`` are what an unfinished run took
    from VFs (`_model.journal_entry`). ``overrides``: what driver_override is to be beside ``rebound`` and ``restored``
    drivers.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    drivers: Mapping[int, str | None] = NONE
    properties: Mapping[int, VfProperties] = NONE
    disables_all: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    disrupted: frozenset[int] = frozenset()
    settings: PfSettings = PfSettings()
    devices: Mapping[int, VfDevice] = NONE
    released: frozenset[int] = frozenset()
    rebound: Mapping[int, str] = NONE
    kept_drivers: Mapping[int, str] = NONE
    kept_properties: Mapping[int, VfProperties] = NONE
    restored: Mapping[int, Bound] = NONE
    probed: frozenset[int] = frozenset()
    overrides: Mapping[int, str | None] = NONE

    @property
    def restored_drivers(self) -> dict[int, str]:
        return {vf_id: driver for vf_id, (driver, _override) in self.restored.items()}

    def new_vectors(self, current: PfState) -> dict[int, int]:
        """The MSI-X vectors to write, of VFs that have another number or whose number is not known, by id."""
        from .._model.vf_device import VfDevice, as_wished

        wanted = {i: device.msix_vectors for i, device in self.devices.items() if device.msix_vectors is not None}
        have = {i: current.devices.get(i, VfDevice()).msix_vectors for i in wanted}
        return {i: number for i, number in wanted.items() if as_wished(number, have[i], current.driver) != number}
