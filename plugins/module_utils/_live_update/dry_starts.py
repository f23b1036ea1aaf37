# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dry starts of all VMs' restores, in the preflight and when armed.

A missing image, machine type or helper is found before anything is paused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._model.errors import BadInputError
from .._system.update_folder import ARMED
from .._vm.backend import Backend
from .._vm.dry_start import DryStart
from .._vm.record import IN_PLACE
from .._vm.vm_facts import VmFacts
from .facts import Facts
from .finding import Finding
from .machine import FAILURES

AT_ONCE = 4
"""Dry starts at the same time, beside VMs at work."""
SKIPPED = "dry_start is false for it in live_update_vms"
FIX = "the update goes on without it; what a dry start leaves out is in docs/live_update.md"


def run(
    facts: Facts, backends: Mapping[str, Backend], annotations: Mapping[str, Mapping[str, Any]]
) -> dict[int, DryStart]:
    """Dry starts of VMs that are not refused anyway, by process id.

    None amid an update, when VMs are just being saved, or started, and none of VMs that are not to be saved.
    ``annotations``: by VM name; ``dry_start`` false leaves a VM out. Raises `BadInputError` for another value.
    """
    skipped = {name for name, item in annotations.items() if not _wants(name, item)}
    at_rest = facts.phase in (None, ARMED)
    saved = [vm for vm in facts.vms if at_rest and facts.strategy(vm) == IN_PLACE]
    wanted = [vm for vm in saved if not any(backends[vm.backend].problems(vm))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda vm: _one(vm, backends[vm.backend], vm.name in skipped), wanted)
        return {vm.pid: one for vm, one in zip(wanted, found)}


def _wants(name: str, annotations: Mapping[str, Any]) -> bool:
    value = annotations.get("dry_start", True)
    if value not in (None, True, False):
        raise BadInputError(f"vms, VM {name}, dry_start: {value!r} is not true or false")
    return value is not False


def _one(vm: VmFacts, backend: Backend, is_skipped: bool) -> DryStart:
    if is_skipped:
        return DryStart(untried=(SKIPPED,))
    try:
        return backend.dry_start(vm)
    except FAILURES as error:
        return DryStart(untried=(f"the dry start itself failed: {error}",))


def refusals(vms: Collection[VmFacts], dry_starts: Mapping[int, DryStart]) -> Iterator[Finding]:
    for who, dry in _each(vms, dry_starts):
        if dry.problem:
            yield Finding("dry-start", f"{who}: {dry.problem}", dry.fix, (who,))


def warnings(vms: Collection[VmFacts], dry_starts: Mapping[int, DryStart]) -> Iterator[Finding]:
    """What was not tried: no reason against an update, but said."""
    for who, dry in _each(vms, dry_starts):
        for reason in dry.untried:
            what = f"{who}: its restore was not tried, or not all of it: {reason}"
            yield Finding("dry-start-untried", what, FIX, (who,))


def _each(vms: Collection[VmFacts], dry_starts: Mapping[int, DryStart]) -> Iterator[tuple[str, DryStart]]:
    for vm in vms:
        if vm.pid in dry_starts:
            yield f"VM {vm.name} (process {vm.pid})", dry_starts[vm.pid]
