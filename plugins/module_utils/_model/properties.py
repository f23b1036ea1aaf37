# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Administrative properties of one VF.

The PF's driver keeps them for every VF enabled in hardware, present or not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

NO_MAC = "00:00:00:00:00:00"
NO_GUID = "00:00:00:00:00:00:00:00"
# BEGIN GENERATED vf property defaults: `make generate` writes it from property_table.py
ADDRESSES = ("mac", "node_guid", "port_guid")
NUMBERS = ("vlan",)
_DEFAULTS = (NO_MAC, 0, 0, "802.1q", 0, 0, None, False, False, "auto", NO_GUID, NO_GUID)
# END GENERATED

_WHOLE = (len(NO_MAC), len(NO_GUID))
"""Lengths of addresses that are derived from nothing."""


class VfProperties(NamedTuple):
    """Properties of a VF, values by name.

    None is "not given" in a spec, "not reported" in a reading. The rows of `property_table` describe each and its
    values. `ADDRESSES` are those of which no two VFs should have the same; in a spec they may be derived from the VF's
    id, see `addresses`.
    """

    # BEGIN GENERATED vf property fields: `make generate` writes it from property_table.py
    mac: str | None = None
    vlan: int | str | None = None
    qos: int | None = None
    vlan_proto: str | None = None
    max_tx_rate: int | None = None
    min_tx_rate: int | None = None
    spoofchk: bool | None = None
    trust: bool | None = None
    query_rss: bool | None = None
    link_state: str | None = None
    node_guid: str | None = None
    port_guid: str | None = None
    # END GENERATED

    def __bool__(self) -> bool:
        return any(value is not None for value in self._asdict().values())

    def to_dict(self) -> dict[str, Any]:
        """Given values by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}

    def missing_in(self, current: VfProperties) -> VfProperties:
        """Those of these values that ``current`` does not have."""
        have = current._asdict()
        return VfProperties(**{name: value for name, value in self.to_dict().items() if have[name] != value})

    def over(self, other: VfProperties) -> VfProperties:
        """``other`` with everything given here put over it."""
        return other._replace(**self.to_dict())

    def only(self, names: VfProperties) -> VfProperties:
        """These values, but only of properties that ``names`` gives."""
        mine = self.to_dict()
        return VfProperties(**{name: mine[name] for name in names.to_dict() if name in mine})

    def without_defaults(self) -> VfProperties:
        """Values other than those that every driver starts with.

        Restoring a reading then writes no more than somebody once set.
        """
        return self.missing_in(VfProperties(*_DEFAULTS))

    def without(self, names: Collection[str]) -> VfProperties:
        """These values without those of ``names``."""
        return VfProperties(**{name: value for name, value in self.to_dict().items() if name not in names})

    def by_command(self) -> list[VfProperties]:
        """These values, cut into pieces with at most one GUID each.

        Of two in one command the kernel takes one (`ip_syntax.set_argv`).
        """
        first = self._replace(port_guid=None) if self.node_guid is not None else self
        second = VfProperties(port_guid=self.port_guid) if first != self else VfProperties()
        return [piece for piece in (first, second) if piece]

    def derived(self) -> dict[str, str]:
        """The values that depend on the VF's id."""
        texts = {name: text for name in (*ADDRESSES, *NUMBERS) if isinstance(text := getattr(self, name), str)}
        given = {name: text for name, text in texts.items() if len(text) not in _WHOLE}
        if not given:
            return given
        from . import addresses

        return {name: text for name, text in given.items() if addresses.is_derived(text)}

    def of_vf(self, vf_id: int, identity: str | None) -> VfProperties:
        """These properties with derived addresses resolved for VF ``vf_id``."""
        derived = self.derived()
        if not derived:
            return self
        from . import addresses

        own = {
            name: addresses.number(text, vf_id) if name in NUMBERS else addresses.address(text, vf_id, identity)
            for name, text in derived.items()
        }
        return VfProperties(**{**self._asdict(), **own})


NAMES = VfProperties._fields
