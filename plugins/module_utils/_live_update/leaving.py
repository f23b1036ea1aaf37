# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are moved to other hosts before an update. Pure.

One that has left is none of the update's: nothing of it is saved, and nothing here may start it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._vm.backend import Backend
from .._vm.record import MIGRATE
from .._vm.vm_facts import VmFacts
from . import vm_rules
from .facts import Facts
from .finding import Finding
from .options import Options


def apart(facts: Facts) -> Facts:
    """Facts of what stays, with the VMs that leave apart."""
    leaving = tuple(vm for vm in facts.vms if facts.strategy(vm) == MIGRATE)
    return replace(facts, vms=tuple(vm for vm in facts.vms if vm not in leaving), leaving=leaving)


def words(
    vm: VmFacts, backend: Backend, options: Options, annotations: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Command line that moves a VM away; empty for none.

    The operator's hook with the VM's name, and where it goes if that was said; without a hook the backend's own.
    """
    to = annotations.get(vm.name, {}).get("to")
    if options.move_away:
        return (*options.move_away, vm.name, *((str(to),) if to else ()))
    return tuple(backend.moving(vm, str(to))) if to else ()


def all_words(
    facts: Facts, backends: Mapping[str, Backend], options: Options, annotations: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, ...]]:
    """Command lines of all VMs that leave, by name."""
    return {vm.name: words(vm, backends[vm.backend], options, annotations) for vm in facts.leaving}


def warnings(facts: Facts, annotations: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Find VMs that were to leave, and are not here."""
    here = {vm.name for vm in facts.leaving}
    for name, item in annotations.items():
        if item.get("strategy") == MIGRATE and name not in here:
            yield Finding(
                "migrate", f"VM {name}, whose strategy is {MIGRATE}, does not run here",
                "it has left, or look for a wrong name: the VM that was meant would be saved in place",
            )  # fmt: skip


def check(
    facts: Facts,
    backends: Mapping[str, Backend],
    options: Options,
    annotations: Mapping[str, Mapping[str, Any]],
) -> Iterator[Finding]:
    """Find what keeps VMs from leaving, and who was about to."""
    if facts.moving:
        yield Finding(
            "moving",
            f"VM {', '.join(facts.moving)} was being moved to another host, and that was interrupted",
            "sriovctl live-update stay",
        )
    for vm in facts.leaving:
        yield from vm_rules.of(vm, backends[vm.backend], MIGRATE)
        if not words(vm, backends[vm.backend], options, annotations):
            has_own = bool(backends[vm.backend].moving(vm, "HOST"))
            yield Finding(
                "migrate",
                f"VM {vm.name} (process {vm.pid}): its strategy is {MIGRATE}, and nothing says how it is moved",
                "set move_away in live_update_options" + (", or its host, to, in live_update_vms" if has_own else ""),
            )


def longest_s(leaving: Sequence[VmFacts], options: Options) -> float:
    """Deadline of all moves, one after the other."""
    return len(leaving) * (options.unplug_s + options.move_away_s)
