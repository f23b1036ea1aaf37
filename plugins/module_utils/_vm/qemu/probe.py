# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe of a running QEMU: whether and how it can be saved.

Read from the process itself; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..._model.errors import SriovError
from ..._model.values import cut, printable
from . import disks, memory, state_form
from . import threads as _threads
from .block_graph import Problem
from .devices import GuestDevice, hotplugged_others, vfio_devices
from .qmp import Qmp


@dataclass(frozen=True)
class Probe:
    """Answers of a running QEMU.

    ``status`` of query-status; ``problems``: reasons against any return of it, ``unsaveable``: against its save alone;
    ``threads``: ids of its threads; ``images``: names of all that are open; ``moved``: where these differ from its
    command line; ``live``: it can write memory while the guest runs.
    """

    pid: int
    version: tuple[int, int, int]
    status: str
    devices: tuple[GuestDevice, ...]
    machines: dict[str, str]
    problems: tuple[str, ...]
    memory_bytes: int = 0
    threads: Mapping[str, int] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    moved: tuple[Problem, ...] = ()
    live: bool = False
    unsaveable: tuple[str, ...] = ()


def typed(qmp: Qmp, argv: Sequence[str]) -> Probe:
    """Probe a running QEMU, whose answers may be anything.

    Raises `SriovError` for those that are not what they should be.
    """
    try:
        return probe(qmp, argv)
    except (TypeError, LookupError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        why = cut(printable(repr(error)))
        raise SriovError(f"an answer of QEMU {qmp.pid} is not what it should be: {why}") from error


def probe(qmp: Qmp, argv: Sequence[str]) -> Probe:
    """Probe a running QEMU; ``argv`` is its command line."""
    devices = vfio_devices(qmp, argv)
    images, moved = disks.ask(qmp, argv)
    return Probe(
        pid=qmp.pid,
        version=qmp.version,
        status=qmp.execute("query-status")["status"],
        devices=tuple(devices),
        machines=_machines(qmp),
        problems=tuple(_problems(qmp)),
        unsaveable=tuple(_unsaveable(qmp, devices)),
        memory_bytes=memory.size(qmp),
        threads=_threads.read(qmp),
        images=images,
        moved=moved,
        live=state_form.MAPPED in state_form.capabilities(qmp),
    )


def _machines(qmp: Qmp) -> dict[str, str]:
    return {item["alias"]: item["name"] for item in qmp.execute("query-machines") if "alias" in item}


def _problems(qmp: Qmp) -> Iterator[str]:
    """What would not come back, from its state or its disks."""
    others = hotplugged_others(qmp)
    if others:
        yield f"devices plugged since its start would not come back: {', '.join(others)}; unplug them"


def _unsaveable(qmp: Qmp, devices: Sequence[GuestDevice]) -> Iterator[str]:
    """QEMU's own reasons against saving it.

    A VF's migration blocker is none: it goes with the VF.
    """
    yield from (f"VF {device.address}: {device.problem}" for device in devices if device.problem)
    if qmp.version < (8, 2, 0):
        version = ".".join(map(str, qmp.version))
        yield f"QEMU {version} cannot migrate to a file: start it with QEMU 8.2 or newer"
    blocked = qmp.execute("query-migrate").get("blocked-reasons", [])
    yield from (f"QEMU refuses to migrate it: {reason}" for reason in blocked if "vfio" not in reason.lower())
