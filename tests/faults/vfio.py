# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small device of QEMU in the place of a VF.

An emulator has no VF to pass through: its `vfio-pci` is an NVMe controller without a disk, which keeps the VF's address
as its serial number and blocks a migration as VFIO does. Command lines and monitors are shown to the engine with
`vfio-pci` in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import Qmp, QmpError

VFIO, STAND_IN = "vfio-pci", "nvme"
KEPT = ("id", "bus", "addr")
"""Arguments of device_add that both devices have."""
Execute = Callable[..., Any]


def shown(argv: Sequence[str]) -> list[str]:
    """A command line as with a VF."""
    return [_replaced(word, STAND_IN, "serial", VFIO, "host") for word in argv]


def started(argv: Sequence[str]) -> list[str]:
    """A command line as it is started."""
    return [_replaced(word, VFIO, "host", STAND_IN, "serial") for word in argv]


def _replaced(word: str, driver: str, key: str, other: str, other_key: str) -> str:
    first, *rest = word.split(",")
    if first != driver:
        return word
    pairs = [(name, value) for name, _equals, value in (item.partition("=") for item in rest)]
    kept = [(other_key if name == key else name, value) for name, value in pairs if name in (*KEPT, key)]
    return ",".join([other, *(f"{name}={value}" for name, value in kept)])


def translated(execute: Execute, refusal: Callable[[str], str | None]) -> Execute:
    """`Qmp.execute` with VFs; ``refusal``: why VFIO would not open a VF now."""

    def shown_as_vfio(self: Qmp, command: str, timeout: float | None = None, **arguments: Any) -> Any:  # noqa: ANN401 - as QMP
        if command == "device_add" and arguments.get("driver") == VFIO:
            why = refusal(str(arguments["host"]))
            if why is not None:
                raise QmpError(command, "GenericError", f"vfio {arguments['host']}: {why}")
            kept = {name: value for name, value in arguments.items() if name in KEPT}
            return execute(self, command, timeout, driver=STAND_IN, serial=arguments["host"], **kept)
        if command == "qom-get" and arguments.get("property") == "host":
            return execute(self, command, timeout, **{**arguments, "property": "serial"})
        answer = execute(self, command, timeout, **arguments)
        if command == "qom-list":
            return [{**item, "type": item["type"].replace(f"<{STAND_IN}>", f"<{VFIO}>")} for item in answer]
        if command == "query-migrate" and "blocked-reasons" in answer:
            reasons = [reason.replace(f"/{STAND_IN}", f"/{VFIO}") for reason in answer["blocked-reasons"]]
            return {**answer, "blocked-reasons": reasons}
        return answer

    return shown_as_vfio
