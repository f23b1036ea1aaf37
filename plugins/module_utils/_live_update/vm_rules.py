# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the preflight about single VMs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .._vm.backend import Backend
from .._vm.record import LEAVE
from .._vm.vm_facts import VmFacts
from .facts import Facts
from .finding import Finding
from .manifest import NAME
from .options import Options


def names(facts: Facts, _options: Options) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for vm in facts.vms:
        if vm.name in seen:
            both = f"processes {seen[vm.name]} and {vm.pid} are both VM {vm.name}"
            yield Finding("vm-name", both, "give each VM a name of its own")
        if not NAME.fullmatch(vm.name):
            yield Finding(
                "vm-name", f"VM '{vm.name}' (process {vm.pid}) has no name that a folder can have",
                "give it one of letters, digits and . _ + -",
            )  # fmt: skip
        seen[vm.name] = vm.pid
    units: dict[str, str] = {}
    for vm in facts.vms:
        other = units.setdefault(vm.unit, vm.name)
        if vm.unit and other != vm.name:
            yield Finding("vm-unit", f"VMs {other} and {vm.name} share unit {vm.unit}", "start each in its own unit")


def images(facts: Facts, _options: Options) -> Iterator[Finding]:
    for vm in facts.vms:
        for problem in facts.image_writers.get(vm.pid, ()):
            yield Finding(
                "image-used",
                f"VM {vm.name} (process {vm.pid}): {problem}: what it writes after the save keeps the VM stopped",
                "end that use, or give each VM disks of its own",
            )


def problems(facts: Facts, backends: Mapping[str, Backend]) -> Iterator[Finding]:
    """Find what keeps VMs from coming back, each by its own strategy.

    A host with a VM that is to be left is not touched at all, whatever else could be said of that VM.
    """
    for vm in facts.vms:
        if facts.strategy(vm) != LEAVE:
            yield from of(vm, backends[vm.backend], facts.strategy(vm))


def of(vm: VmFacts, backend: Backend, strategy: str) -> Iterator[Finding]:
    """Find what keeps one VM from being updated so."""
    who = f"VM {vm.name} (process {vm.pid})"
    for problem, fix in backend.problems(vm, strategy):
        yield Finding("vm", f"{who}: {problem}", fix)
    for address in vm.unknown_devices:
        problem = f"{who}: it owns {address}, which is not a VF of this host"
        yield Finding("vm", problem, "only VFs can be given back: unplug it first")
