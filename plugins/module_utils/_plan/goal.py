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

    ``cycle``: the number enabled must go through 0, which takes the VFs ``kills`` away from whoever counts on them.
    ``notes``: where the interface gives less than was wished, and what this costs. ``settings`` of the PF and
    ``devices`` of present VFs hold what is wished. ``let_go`` are bound VFs that stay and that no driver may have while
    the mode of the eswitch changes; ``rebound`` are the drivers of VFs without a wish for one that must let go of them
    for a moment, and get them back. ``kept_drivers`` and ``kept_properties`` are what no wish gives to VFs that come
    back. ``restored`` and ``probed`` are owed to VFs by a run before (`_owed.Owed`). ``overrides``: what
    driver_override is to be beside ``rebound`` and ``restored`` drivers.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    drivers: Mapping[int, str | None] = NONE
    properties: Mapping[int, VfProperties] = NONE
    cycle: bool = False
    notes: tuple[str, ...] = ()
    kills: frozenset[int] = frozenset()
    settings: PfSettings = PfSettings()
    devices: Mapping[int, VfDevice] = NONE
    let_go: frozenset[int] = frozenset()
    rebound: Mapping[int, str] = NONE
    kept_drivers: Mapping[int, str] = NONE
    kept_properties: Mapping[int, VfProperties] = NONE
    restored: Mapping[int, Bound] = NONE
    probed: frozenset[int] = frozenset()
    overrides: Mapping[int, str | None] = NONE

    @property
    def owed_drivers(self) -> dict[int, str]:
        return {vf_id: driver for vf_id, (driver, _override) in self.restored.items()}

    def new_vectors(self, found: PfState) -> dict[int, int]:
        """The MSI-X vectors to write, of VFs that have another number or whose number is not known, by id."""
        from .._model.vf_device import VfDevice, as_wished

        wanted = {i: device.msix_vectors for i, device in self.devices.items() if device.msix_vectors is not None}
        have = {i: found.devices.get(i, VfDevice()).msix_vectors for i in wanted}
        return {i: number for i, number in wanted.items() if as_wished(number, have[i], found.driver) != number}
