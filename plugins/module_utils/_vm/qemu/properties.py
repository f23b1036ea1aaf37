# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Types and values of a QEMU device's properties."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .qmp import Answer, Qmp, QmpError

UNSET: Mapping[str, object] = {"bootindex": -1, "x-nv-gpudirect-clique": 255}
"""Values that mean nothing, of numbers for which QEMU names no default."""
PLACED = frozenset({"host", "sysfsdev", "addr", "busnr", "fd", "hotplugged", "hotpluggable", "realized", "parent_bus"})
"""Properties that name the device and its place, or are read-only."""
NO_UUID = "00000000-0000-0000-0000-000000000000"
NUMBER = r"u?int\d*|size"


@dataclass(frozen=True)
class DeviceProperties:
    """All properties of a driver (device-list-properties).

    ``types``: bool, int32, uint32, size, str, OnOffAuto, link<..>, ...; ``defaults`` of those that have one.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, qmp: Qmp, driver: str) -> DeviceProperties:
        found = qmp.execute("device-list-properties", typename=driver)
        return cls(
            {item["name"]: item["type"] for item in found},
            {item["name"]: item["default-value"] for item in found if "default-value" in item},
        )

    def typed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Convert texts of a command line to the JSON types of device_add.

        Which insists on them since QEMU 9.2 (removed-features.rst).
        """
        return {name: _typed(value, self.types.get(name, "str")) for name, value in arguments.items()}

    def set_on(self, qmp: Qmp, path: str) -> dict[str, Any]:
        """What a device was given, as arguments of device_add.

        ``path``: its place in QOM. Of a device that was plugged later no command line tells. A few are numbers that
        QEMU took from the device itself (x-pci-vendor-id, ...): the same device has them again.
        """
        given: dict[str, Any] = {}
        for name, kind in self.types.items():
            value = None if name in PLACED or kind.startswith("child<") else get(qmp, path, name)
            if value is not None and not self._is_default(name, kind, value):
                given[name] = os.path.basename(str(value)) if kind.startswith("link<") else value
        return given

    def _is_default(self, name: str, kind: str, value: object) -> bool:
        if name in self.defaults:
            return bool(value == self.defaults[name])
        if name in UNSET or re.fullmatch(NUMBER, kind):
            return name not in UNSET or value == UNSET[name]
        return value in ("", NO_UUID)


def get(qmp: Qmp, path: str, name: str) -> Answer:
    """Read a QOM property, None when this QEMU does not have it."""
    try:
        return qmp.execute("qom-get", path=path, property=name)
    except QmpError:
        return None


def _typed(value: object, kind: str) -> object:
    if not isinstance(value, str):
        return value
    if kind == "bool":
        return value in ("on", "true", "yes", "y")
    if re.fullmatch(NUMBER, kind):
        return int(value, 0) if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", value) else value
    return value
