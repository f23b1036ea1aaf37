# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running VM as its backend finds it."""

from __future__ import annotations

from dataclasses import dataclass

from .images import Image


@dataclass(frozen=True)
class UsedVf:
    pf: str
    id: int
    address: str


@dataclass(frozen=True)
class VmFacts:
    """A running VM.

    ``started``: in clock ticks since boot (`candidates.started`); ``unknown_devices``: addresses of passed-through
    devices that are no VFs of this host; ``images``: all that it has open; ``live``: its memory can
    be copied while it runs; ``kept_elsewhere``: its backend saves that to another folder than the one of states, and
    looks at the space there; ``detail``: facts for its backend alone.
    """

    name: str
    backend: str
    pid: int
    started: int
    unit: str
    detail: object
    vfs: tuple[UsedVf, ...] = ()
    unknown_devices: tuple[str, ...] = ()
    memory_bytes: int = 0
    images: tuple[Image, ...] = ()
    live: bool = False
    kept_elsewhere: bool = False
