# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backend `libvirt` knows of a running domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ..._tools.virsh import Info
from ..._tools.whole_domain import WholeDomain
from ..vm_facts import VmFacts


@dataclass(frozen=True)
class Refused:
    """A domain of which nothing is known but why it is refused."""

    problem: str
    fix: str


@dataclass(frozen=True)
class LibvirtFacts:
    """A running domain.

    ``room``: free bytes of the folder for saved domains, ``need``: those that saves of all domains take; ``saved``:
    whether one of its name is there already; ``replaced``: images that are another file by now; ``blocked``: why QEMU
    does not save it, in QEMU's words; ``definition``: XML of a transient domain.
    """

    domain: WholeDomain
    info: Info
    room: int
    saved: bool = False
    replaced: tuple[str, ...] = ()
    need: int = 0
    blocked: tuple[str, ...] = ()
    definition: str = ""

    @classmethod
    def of(cls, vm: VmFacts) -> LibvirtFacts:
        return cast("LibvirtFacts", vm.detail)
