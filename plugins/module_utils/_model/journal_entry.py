# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary changes of an unfinished run, which the next run reverts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from . import vf_ids
from .properties import VfProperties

Bound = tuple[str, Optional[str]]
"""A driver, and the driver_override beside it."""


@dataclass(frozen=True)
class JournalEntry:
    """The previous state of whatever the run changes temporarily.

    None, and nothing, where the run does not change it. ``enabled`` and ``present`` are of a run that disables all VFs
    first, ``enabled`` also of one that adds all VFs as nobody says which; ``drivers`` and ``properties`` of VFs that
    come back. ``rebound`` are VFs that stay and are unbound for a moment; ``probed`` are VFs to which the kernel's
    choice is to be bound. ``link`` is that of the PF's interface, up for a moment; no run takes it down again, as
    others may use it by then.
    """

    enabled: int | None = None
    present: frozenset[int] | None = None
    autoprobe: bool | None = None
    drivers: Mapping[int, str] = field(default_factory=dict)
    properties: Mapping[int, VfProperties] = field(default_factory=dict)
    rebound: Mapping[int, Bound] = field(default_factory=dict)
    probed: frozenset[int] = frozenset()
    link: str | None = None

    def __bool__(self) -> bool:
        return self != JournalEntry()

    def over(self, other: JournalEntry) -> JournalEntry:
        """``other`` with this entry, which is older, put over it."""
        return JournalEntry(
            other.enabled if self.enabled is None else self.enabled,
            other.present if self.present is None else self.present,
            other.autoprobe if self.autoprobe is None else self.autoprobe,
            {**other.drivers, **self.drivers},
            {**other.properties, **self.properties},
            {**other.rebound, **self.rebound},
            self.probed | other.probed,
            other.link if self.link is None else self.link,
        )

    def to_dict(self) -> dict[str, Any]:
        """The entry for JSON."""
        return {
            "enabled": self.enabled,
            "present": None if self.present is None else vf_ids.describe(self.present),
            "autoprobe": self.autoprobe,
            "drivers": {str(vf_id): driver for vf_id, driver in self.drivers.items()},
            "properties": {str(vf_id): given.to_dict() for vf_id, given in self.properties.items()},
            "rebound": {str(vf_id): list(bound) for vf_id, bound in self.rebound.items()},
            "probed": vf_ids.describe(self.probed),
            **({} if self.link is None else {"link": self.link}),
        }
