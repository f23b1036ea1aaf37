# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of the faults: what is injected, and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .edges import Strike

if TYPE_CHECKING:
    from .session import Session

VMS = {"web1": 0, "db1": 1}
"""VMs of the host, with the VFs that they own."""
MEMORY, COLD, ENDED, KEPT, GIVEN_UP, OTHERS, STANDS = (
    "memory", "cold", "ended", "kept", "given up", "of others", "stands",
)  # fmt: skip
"""Ends of a VM.

memory: it runs, with all that it had in memory; cold: it runs, started from its disk; ended: it does not run, and
nothing of it is kept; kept: it does not run, and the command that status prints brings it back with its memory; given
up: it does not run, its memory is refused for good, and ``forget --discard-memory`` gives it up; of others: it runs, as
somebody else has started it, and is left alone; stands: its QEMU stands still with its memory, and nothing continues
it.
"""
NEW, OLD, CRASH, PANIC = "new", "old", "crash", "panic"
"""Kernels that a host comes to: a panic runs nothing of userspace."""


@dataclass(frozen=True)
class Typed:
    """A command that an operator types.

    Words after ``sriovctl``, its exit status, and a part of what it prints."""

    words: str
    status: int = 0
    says: str = ""


@dataclass(frozen=True)
class Fault:
    """One fault on the path of a live update.

    ``strikes`` happen in their steps: arm, run, recover, resume, come-back, or what is typed. ``meanwhile``: what the
    case does at a pause; ``before``: what happens before a step, by its name. ``delays``: ticks until a VM's guest
    releases its VF; ``options``, ``vms``: of the live update. ``lands``: kernels that follow the first jump or power
    cut, by themselves the kernel that was meant. ``typed``: commands in the end. ``phase``: of the status then, empty
    for a host without an update.
    """

    name: str
    what: str
    ends: Mapping[str, str]
    phase: str
    strikes: tuple[Strike, ...] = ()
    meanwhile: Callable[[Session], None] | None = None
    before: Mapping[str, Callable[[Session], None]] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    vms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lands: tuple[str, ...] = ()
    typed: tuple[Typed, ...] = ()


BOTH = dict.fromkeys(VMS, MEMORY)


def each(end: str) -> dict[str, str]:
    return dict.fromkeys(VMS, end)
