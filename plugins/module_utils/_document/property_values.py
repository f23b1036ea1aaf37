# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may write as properties of VFs. Most hosts declare none, so this is imported where one is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._model import addresses
from .._model.errors import BadInputError
from .._model.properties import ADDRESSES, NAMES, VfProperties
from .id_sets import ALL

if TYPE_CHECKING:
    from .id_sets import Ids

LINK_STATES = ("auto", "enable", "disable")
VLAN_PROTOS = ("802.1q", "802.1ad")
_RANGES = {"vlan": (0, 4094), "qos": (0, 7), "min_tx_rate": (0, 2**31 - 1), "max_tx_rate": (0, 2**31 - 1)}


def validate(data: Mapping[str, Any], where: str) -> VfProperties:
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


def check_addresses(properties: VfProperties, ids: Ids, where: str) -> None:
    """Several VFs can have derived addresses only; raises `BadInputError` for others."""
    for name in ADDRESSES:
        value = getattr(properties, name)
        if value and not addresses.is_derived(value) and (ids == ALL or len(ids) > 1):
            more = f" or '{value}{addresses.PLUS_ID}' for a base that each id is added to"
            raise BadInputError(f"{where}.{name}: {value} cannot be given to several VFs; give one id beside it,{more}")


def _mac(value: object, where: str, _name: str) -> str:
    return addresses.validate(value, 6, where, hashed=True)


def _guid(value: object, where: str, _name: str) -> str:
    return addresses.validate(value, 8, where)


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
