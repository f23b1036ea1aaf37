# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PF has beside its VFs: the mode of its eswitch and the MTU of its network interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import BadInputError

LEGACY, SWITCHDEV = "legacy", "switchdev"
ESWITCH_MODES = (LEGACY, SWITCHDEV)


class PfSettings(NamedTuple):
    """None is "leave as found" in a wish, "not read" in a reading; ``mtu`` is in bytes."""

    eswitch_mode: str | None = None
    mtu: int | None = None

    def __bool__(self) -> bool:
        return self.eswitch_mode is not None or self.mtu is not None

    def to_dict(self) -> dict[str, Any]:
        """Only what is given."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NAMES = PfSettings._fields


def validate(data: Mapping[str, Any], where: str) -> PfSettings:
    """The settings among the keys of ``data``; raises `BadInputError` naming the key's path and what is allowed."""
    mode = data.get("eswitch_mode")
    if mode is not None and mode not in ESWITCH_MODES:
        raise BadInputError(f"{where}.eswitch_mode: {mode!r} is not one of {', '.join(ESWITCH_MODES)}")
    return PfSettings(mode, None if data.get("mtu") is None else _mtu(data["mtu"], f"{where}.mtu"))


def _mtu(value: object, where: str) -> int:
    from .vf_device import number

    return number(value, where, "mtu")
