# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a PF itself: eswitch mode, MTU, link."""

from __future__ import annotations

from typing import Any, NamedTuple

LEGACY, SWITCHDEV = "legacy", "switchdev"
ESWITCH_MODES = (LEGACY, SWITCHDEV)
UP, DOWN = "up", "down"


class PfSettings(NamedTuple):
    """Settings of a PF, values by name.

    None is "leave as it is" in a spec, "not read" in a reading. The rows of `property_table` describe each.
    """

    # BEGIN GENERATED pf settings fields: `make generate` writes it from property_table.py
    eswitch_mode: str | None = None
    mtu: int | None = None
    link: str | None = None
    # END GENERATED

    def __bool__(self) -> bool:
        return any(value is not None for value in self)

    def to_dict(self) -> dict[str, Any]:
        """Given values by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


NAMES = PfSettings._fields
