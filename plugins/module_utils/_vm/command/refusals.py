# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons against saving a manager's VM, each with its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..record import IN_PLACE, MIGRATE, SHUTDOWN
from ..vm_facts import VmFacts
from .facts import CommandFacts


def problems(vm: VmFacts, strategy: str = IN_PLACE) -> Iterator[tuple[str, str]]:
    """(problem, fix) for each reason against updating a VM so."""
    facts = CommandFacts.of(vm)
    for program in facts.missing:
        yield f"{program} of vm_commands is no program that root can run here", "install it, or correct its path"
    if facts.saved:
        yield facts.saved, "see what `saved` of vm_commands says: 0 for a state, 1 for none, and no other status"
    if vm.vfs and not facts.commands.release:
        held = ", ".join(vf.address for vf in vm.vfs)
        yield f"it has VF {held}, and vm_commands cannot unplug it", "add release and attach to vm_commands"
    for name in facts.replaced if strategy != MIGRATE else ():
        yield f"its image {name} was replaced by another file since its start", "put the file back that it has open"
    if strategy == SHUTDOWN:
        for key in ("shutdown", "start"):
            if not getattr(facts.commands, key):
                yield f"vm_commands has no {key} for its strategy", f"add {key} to vm_commands, or save it"
