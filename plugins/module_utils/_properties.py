# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Administrative properties of one VF: the PF's driver keeps them for every VF enabled in hardware, present or not."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ._errors import BadInputError

LINK_STATES = ("auto", "enable", "disable")
NO_MAC = "00:00:00:00:00:00"

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
_RANGES = {"vlan": (0, 4094), "qos": (0, 7), "min_tx_rate": (0, 2**31 - 1), "max_tx_rate": (0, 2**31 - 1)}


@dataclass(frozen=True)
class VfProperties:
    """Properties as ``ip link set PF vf N ...`` takes them; None is "not given" in a wish, "not reported" in a reading.

    ``vlan`` 0 is untagged; rates are in Mbit/s, 0 is unlimited; ``link_state`` is one of `LINK_STATES`.
    """

    mac: str | None = None
    vlan: int | None = None
    qos: int | None = None
    spoofchk: bool | None = None
    trust: bool | None = None
    link_state: str | None = None
    min_tx_rate: int | None = None
    max_tx_rate: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in asdict(self).values())

    def to_dict(self) -> dict[str, Any]:
        """Only what is given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def missing_in(self, found: VfProperties) -> VfProperties:
        """What of this wish ``found`` does not fulfil yet."""
        have = asdict(found)
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
        plain = VfProperties(NO_MAC, 0, 0, None, False, "auto", 0, 0)
        return self.missing_in(plain)


NAMES = tuple(field.name for field in fields(VfProperties))


def validate(data: dict[str, Any], where: str) -> VfProperties:
    """The properties among the keys of ``data``; raises `BadInputError` naming the key's path and what is allowed."""
    values = {name: _CHECKS[name](data[name], f"{where}.{name}", name) for name in NAMES if data.get(name) is not None}
    found = VfProperties(**values)
    if found.qos and not found.vlan:
        raise BadInputError(f"{where}.qos: {found.qos} needs a vlan from 1 to 4094 beside it")
    if found.max_tx_rate and (found.min_tx_rate or 0) > found.max_tx_rate:
        raise BadInputError(f"{where}.min_tx_rate: {found.min_tx_rate} is above max_tx_rate {found.max_tx_rate}")
    return found


def _mac(value: object, where: str, _name: str) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if not _MAC.fullmatch(text) or int(text[:2], 16) & 1:
        raise BadInputError(f"{where}: {value!r} is not a unicast MAC address; write it like '02:00:00:00:00:01'")
    return text


def _number(value: object, where: str, name: str) -> int:
    low, high = _RANGES[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInputError(f"{where}: {value!r} is not a whole number from {low} to {high}")
    return value


def _flag(value: object, where: str, _name: str) -> bool:
    if not isinstance(value, bool):
        raise BadInputError(f"{where}: {value!r} is not true or false")
    return value


def _link_state(value: object, where: str, _name: str) -> str:
    if value not in LINK_STATES:
        raise BadInputError(f"{where}: {value!r} is not one of {', '.join(LINK_STATES)}")
    return str(value)


_CHECKS: dict[str, Any] = {
    "mac": _mac,
    "spoofchk": _flag,
    "trust": _flag,
    "link_state": _link_state,
    **dict.fromkeys(_RANGES, _number),
}
