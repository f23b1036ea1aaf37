# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether and how a running QEMU can be saved by detach: asked from the process itself, nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .devices import GuestDevice, hotplugged_others, vfio_devices
from .qmp import Qmp


@dataclass(frozen=True)
class Probe:
    """What a running QEMU says: ``status`` of query-status, its VFs, and what speaks against saving it."""

    pid: int
    version: tuple[int, int, int]
    status: str
    devices: tuple[GuestDevice, ...]
    machines: dict[str, str]
    problems: tuple[str, ...]


def probe(qmp: Qmp, argv: Sequence[str]) -> Probe:
    """``argv`` is the command line of that QEMU."""
    found = vfio_devices(qmp, argv)
    return Probe(
        pid=qmp.pid,
        version=qmp.version,
        status=qmp.execute("query-status")["status"],
        devices=tuple(found),
        machines=_machines(qmp),
        problems=tuple(_problems(qmp, found)),
    )


def _machines(qmp: Qmp) -> dict[str, str]:
    return {item["alias"]: item["name"] for item in qmp.execute("query-machines") if "alias" in item}


def _problems(qmp: Qmp, devices: Sequence[GuestDevice]) -> list[str]:
    """Reasons of QEMU itself against a save by detach; a VF's own migration blocker goes with the VF."""
    found = [f"VF {device.address}: {device.problem}" for device in devices if device.problem]
    if qmp.version < (8, 2, 0):
        version = ".".join(map(str, qmp.version))
        found.append(f"QEMU {version} cannot migrate to a file: start it with QEMU 8.2 or newer")
    others = hotplugged_others(qmp)
    if others:
        found.append(f"devices plugged since its start would not come back: {', '.join(others)}; unplug them")
    blocked = qmp.execute("query-migrate").get("blocked-reasons", [])
    found.extend(f"QEMU refuses to migrate it: {reason}" for reason in blocked if "vfio" not in reason.lower())
    return found
