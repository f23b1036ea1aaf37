# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The goal of a PF, and what the change disrupts.

It is the desired state as far as the kernel interface reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from .._model.settings import PfSettings
from .._model.state import NONE, OPT_OUT, UNBOUND, PfState, VfState

if TYPE_CHECKING:
    from .._model.journal_entry import Bound
    from .._model.properties import VfProperties
    from .._model.vf_device import VfDevice


class Target(NamedTuple):
    """The target state: ``enabled`` VFs in hardware, ``present`` ids.

    ``drivers`` of present VFs by id (None: no override; `UNBOUND`: no driver), ``properties`` of enabled ones,
    ``devices`` of present ones.
    """

    enabled: int
    present: frozenset[int]
    autoprobe: bool
    settings: PfSettings = PfSettings()
    drivers: Mapping[int, str | None] = NONE
    properties: Mapping[int, VfProperties] = NONE
    devices: Mapping[int, VfDevice] = NONE

    @property
    def opt_out(self) -> str | None:
        """The driver_override of VFs that are to be `UNBOUND`."""
        return OPT_OUT if self.autoprobe else None

    def unbound_in(self, current: PfState) -> dict[int, VfState | None]:
        """VFs that are to be `UNBOUND`, as read, by id."""
        return {i: current.vfs.get(i) for i, driver in self.drivers.items() if driver == UNBOUND}


class Disruption(NamedTuple):
    """The disruption of VFs during the change.

    ``disables_all``: it requires disabling all VFs first, which takes the VFs ``disrupted`` away from their holders.
    ``released``: bound VFs that stay and must be unbound while the mode of the eswitch changes. ``refusal``: why
    the change is refused, empty where nothing is disrupted or the spec allows it.
    """

    disables_all: bool = False
    disrupted: frozenset[int] = frozenset()
    released: frozenset[int] = frozenset()
    refusal: str = ""


class Preserved(NamedTuple):
    """Undeclared drivers and properties that VFs keep.

    ``drivers`` and ``properties`` of VFs that come back; ``rebound``: drivers with their overrides, of VFs that are
    unbound for a moment and bound again.
    """

    drivers: Mapping[int, str] = NONE
    properties: Mapping[int, VfProperties] = NONE
    rebound: Mapping[int, Bound] = NONE


class Restored(NamedTuple):
    """Drivers to restore after an unfinished run (`_model.journal_entry`).

    ``drivers`` by VF id; ``probed``: VFs to which the kernel's choice is to be bound.
    """

    drivers: Mapping[int, Bound] = NONE
    probed: frozenset[int] = frozenset()


class Goal(NamedTuple):
    """The goal of a PF: target, disruption, preserved and restored values.

    ``notes``: where the interface gives less than is desired, and what this costs. ``warnings``: those of them that ask
    an operator for an action and end with this run, such as checking why a previous run was interrupted. A note that
    recurs with each run, or whose disruption was allowed, asks for none.
    """

    target: Target
    disruption: Disruption = Disruption()
    preserved: Preserved = Preserved()
    restored: Restored = Restored()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def returned(self) -> dict[int, Bound]:
        """Drivers to give back, each with its driver_override, by VF id."""
        return {**self.preserved.rebound, **self.restored.drivers}


def new_vectors(current: PfState, devices: Mapping[int, VfDevice]) -> dict[int, int]:
    """MSI-X vectors to write, by VF id.

    Those of VFs that have another number, or whose number is unknown.
    """
    if not devices:
        return {}
    from .._model.vf_device import VfDevice, as_declared

    wanted = {i: device.msix_vectors for i, device in devices.items() if device.msix_vectors is not None}
    have = {i: current.devices.get(i, VfDevice()).msix_vectors for i in wanted}
    return {i: number for i, number in wanted.items() if as_declared(number, have[i], current.driver) != number}
