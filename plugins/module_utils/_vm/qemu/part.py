# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the manifest that brings a QEMU back."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..._model.errors import BadInputError
from ..record import ManifestVm
from ..vm_facts import VmFacts
from . import argv as _argv
from .facts import QemuFacts
from .needs import Need
from .taps import Tap
from .unit import UnitSettings

OPTIONAL = ("unit", "needs", "taps", "pins")
"""Keys that manifests of earlier versions lack."""


@dataclass(frozen=True)
class QemuPart:
    """QEMU's part of the manifest.

    ``argv``: its own command line; ``restore_argv``: of the QEMU that waits for the state; ``devices``: arguments of
    device_add that plug a VF again at the same place, by the VF's address; ``unit``: settings of its unit;
    ``needs``: what the host must have before; ``taps``: its interfaces in bridges;
    ``pins``: CPUs of its threads.
    """

    qmp: str
    argv: tuple[str, ...]
    restore_argv: tuple[str, ...]
    cwd: str
    devices: Mapping[str, Mapping[str, Any]]
    unit: UnitSettings = field(default_factory=UnitSettings)
    needs: tuple[Need, ...] = ()
    taps: tuple[Tap, ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def made(cls, vm: VmFacts) -> QemuPart:
        """Make the part of a running VM.

        Raises `BadInputError` for a VM that does not answer over QMP.
        """
        facts = QemuFacts.of(vm)
        if facts.probe is None or facts.qmp is None:
            raise BadInputError(f"VM {vm.name} cannot be asked over QMP: {facts.probe_error}")
        arguments = {device.address: dict(device.arguments) for device in facts.probe.devices}
        return cls(
            facts.qmp,
            facts.argv,
            tuple(_argv.for_restore(facts.argv, facts.probe.machines)),
            facts.cwd,
            {vf.address: arguments[vf.address] for vf in vm.vfs},
            facts.unit,
            facts.needs.needs,
            facts.taps.taps,
            facts.pins,
        )

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> QemuPart:
        """Parse the part of a manifest.

        Raises `BadInputError` naming the path of the wrong key.
        """
        known = {item.name for item in fields(cls)}
        for key in sorted((known ^ set(data)) - (set(OPTIONAL) - set(data))):
            raise BadInputError(f"{where}.{key}: {'missing' if key in known else 'unknown key'}")
        for key in ("qmp", "cwd"):
            if not isinstance(data[key], str):
                raise BadInputError(f"{where}.{key}: expected text, found {data[key]!r}")
        for key in ("argv", "restore_argv"):
            words = data[key]
            if not isinstance(words, (list, tuple)) or not words or not all(isinstance(word, str) for word in words):
                raise BadInputError(f"{where}.{key}: expected a list of texts, found {words!r}")
        devices = data["devices"]
        if not isinstance(devices, Mapping) or not all(isinstance(device, Mapping) for device in devices.values()):
            raise BadInputError(f"{where}.devices: expected an object of objects, found {devices!r}")
        unit = UnitSettings.parse(data.get("unit", {}), f"{where}.unit")
        needs = Need.parse(data.get("needs", ()), f"{where}.needs")
        taps = Tap.parse(data.get("taps", ()), f"{where}.taps")
        pins = data.get("pins", {})
        if not isinstance(pins, Mapping) or not all(isinstance(cpus, str) for cpus in pins.values()):
            raise BadInputError(f"{where}.pins: expected an object of texts, found {pins!r}")
        line, restore_line = tuple(data["argv"]), tuple(data["restore_argv"])
        return cls(data["qmp"], line, restore_line, data["cwd"], devices, unit, needs, taps, pins)

    def require(self, vfs: Collection[str], where: str) -> None:
        """Require that each of these VFs can be plugged again.

        ``vfs`` are addresses. Raises `BadInputError`.
        """
        lost = sorted(set(vfs) - self.devices.keys())
        if lost:
            raise BadInputError(f"{where}.devices: no arguments of device_add for VF {', '.join(lost)}")

    def cold_argv(self) -> list[str]:
        """Command line that starts the VM from its disks.

        Paused where something is set before it runs.
        """
        return [*_argv.for_cold_start(self.argv), *(["-S"] if self.taps or self.pins else [])]

    def own(self) -> list[Sequence[str]]:
        """Command lines of the QEMUs that this part starts."""
        return [self.restore_argv, self.cold_argv()]

    @classmethod
    def of(cls, vm: ManifestVm) -> QemuPart:
        return cls.parse(vm.part, f"VM {vm.name}")

    def to_dict(self) -> dict[str, Any]:
        """The part as in the manifest, with lists for tuples."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain
