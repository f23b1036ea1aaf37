# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Administrative properties of one VF: the PF's driver keeps them for every VF enabled in hardware, present or not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

from . import _derived
from ._errors import BadInputError

LINK_STATES = ("auto", "enable", "disable")
VLAN_PROTOS = ("802.1q", "802.1ad")
NO_MAC = "00:00:00:00:00:00"
NO_GUID = "00:00:00:00:00:00:00:00"
ADDRESSES = ("mac", "node_guid", "port_guid")
"""Properties of which no two VFs should have the same."""

_RANGES = {"vlan": (0, 4094), "qos": (0, 7), "min_tx_rate": (0, 2**31 - 1), "max_tx_rate": (0, 2**31 - 1)}


@dataclass(frozen=True)
class VfProperties:
    """Properties as ``ip link set PF vf N ...`` takes them; None is "not given" in a wish, "not reported" in a reading.

    ``vlan`` 0 is untagged, ``vlan_proto`` one of `VLAN_PROTOS`; rates are in Mbit/s, 0 is unlimited; ``link_state`` is
    one of `LINK_STATES`; ``query_rss``: whether the VF may ask for its RSS configuration; GUIDs are of InfiniBand. In a
    wish, addresses may be derived from the VF's id, see `_derived`.
    """

    mac: str | None = None
    vlan: int | None = None
    qos: int | None = None
    spoofchk: bool | None = None
    trust: bool | None = None
    link_state: str | None = None
    min_tx_rate: int | None = None
    max_tx_rate: int | None = None
    vlan_proto: str | None = None
    query_rss: bool | None = None
    node_guid: str | None = None
    port_guid: str | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def to_dict(self) -> dict[str, Any]:
        """Only what is given."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def missing_in(self, found: VfProperties) -> VfProperties:
        """What of this wish ``found`` does not fulfil yet."""
        have = vars(found)
        return VfProperties(**{name: value for name, value in self.to_dict().items() if have[name] != value})

    def over(self, other: VfProperties) -> VfProperties:
        """``other`` with everything given here put over it."""
        return replace(other, **self.to_dict())

    def only(self, names: VfProperties) -> VfProperties:
        """These values, but only of properties that ``names`` gives."""
        mine = self.to_dict()
        return VfProperties(**{name: mine[name] for name in names.to_dict() if name in mine})

    def without_defaults(self) -> VfProperties:
        """Less what every driver starts with, so that putting a reading back writes no more than somebody once set."""
        plain = VfProperties(NO_MAC, 0, 0, None, False, "auto", 0, 0, "802.1q", False, NO_GUID, NO_GUID)
        return self.missing_in(plain)

    def without(self, names: Collection[str]) -> VfProperties:
        """Less ``names``."""
        return VfProperties(**{name: value for name, value in self.to_dict().items() if name not in names})

    def by_command(self) -> list[VfProperties]:
        """These, cut so that each piece has at most one GUID: of two the kernel takes one (`_netdev.set_argv`)."""
        first = replace(self, port_guid=None) if self.node_guid is not None else self
        second = VfProperties(port_guid=self.port_guid) if first != self else VfProperties()
        return [piece for piece in (first, second) if piece]

    def derived(self) -> dict[str, str]:
        """The addresses that depend on the VF's id."""
        return {name: text for name in ADDRESSES if _derived.is_derived(text := getattr(self, name))}

    def of_vf(self, vf_id: int, identity: str | None) -> VfProperties:
        """With the addresses of VF ``vf_id`` in place of derived ones."""
        own = {name: _derived.address(text, vf_id, identity) for name, text in self.derived().items()}
        return VfProperties(**{**vars(self), **own})


NAMES = tuple(field.name for field in fields(VfProperties))


def validate(data: dict[str, Any], where: str) -> VfProperties:
    """The properties among the keys of ``data``; raises `BadInputError` naming the key's path and what is allowed."""
    values = {name: _CHECKS[name](data[name], f"{where}.{name}", name) for name in NAMES if data.get(name) is not None}
    found = VfProperties(**values)
    if found.qos and not found.vlan:
        raise BadInputError(f"{where}.qos: {found.qos} needs a vlan from 1 to 4094 beside it")
    if found.vlan_proto == "802.1ad" and not found.vlan:
        raise BadInputError(f"{where}.vlan_proto: {found.vlan_proto} needs a vlan from 1 to 4094 beside it")
    if found.max_tx_rate and (found.min_tx_rate or 0) > found.max_tx_rate:
        raise BadInputError(f"{where}.min_tx_rate: {found.min_tx_rate} is above max_tx_rate {found.max_tx_rate}")
    return found


def _mac(value: object, where: str, _name: str) -> str:
    return _derived.validate(value, 6, where, hashed=True)


def _guid(value: object, where: str, _name: str) -> str:
    return _derived.validate(value, 8, where)


def _number(value: object, where: str, name: str) -> int:
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInputError(f"{where}: {value!r} is not a whole number from {low} to {high}")
    return value


def _flag(value: object, where: str, _name: str) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(f"{where}: {value!r} is not true or false")
    return value


def _choice(value: object, where: str, name: str) -> str:
    choices = {"link_state": LINK_STATES, "vlan_proto": VLAN_PROTOS}[name]
    if value not in choices:
        raise BadInputError(f"{where}: {value!r} is not one of {', '.join(choices)}")
    return str(value)


_CHECKS: dict[str, Any] = {
    "mac": _mac,
    **dict.fromkeys(("node_guid", "port_guid"), _guid),
    **dict.fromkeys(("spoofchk", "trust", "query_rss"), _flag),
    **dict.fromkeys(("link_state", "vlan_proto"), _choice),
    **dict.fromkeys(_RANGES, _number),
}
