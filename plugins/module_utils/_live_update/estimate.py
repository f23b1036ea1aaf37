# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimate of a live update's outage, for host and VMs. Pure.

Two figures: the pause, in which no instruction of a VM runs, and the time without VF, which begins before its memory is
copied and is the whole outage of a VM without another NIC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .._model import drivers
from .._model.kernel_interface import INTERFACES, STOCK, KernelInterface
from .._model.update_deadlines import GUEST_DOWN_S
from .._vm.record import SHUTDOWN
from .facts import Facts
from .options import Options

MIB = 1 << 20
REST = 32 * MIB
"""Bytes of a copied VM that are left for its pause."""
BEFORE = ("unplug", "shutdown", "copy")
"""Parts in which VMs run, without their VFs."""


@dataclass(frozen=True)
class VmEstimate:
    """Predicted seconds of one VM.

    ``live``: its memory is copied while it runs; ``without_vf_s``: 0 for one that has none. ``idle_pause_s``: the pause
    of a guest that writes nothing, which QEMU stops as soon as it is copied, while others still are.
    """

    name: str
    live: bool
    pause_s: float
    without_vf_s: float
    idle_pause_s: float = 0.0


def estimate(facts: Facts, options: Options) -> dict[str, float]:
    """Estimate the longest outage of a VM, in seconds by part.

    All VMs share the disk of the states: the last one waits for the memory of all, written and read. From the waits of
    the kernel: one second at enumeration for a PF that is found enabled, 100 ms to enable VFs, about 1 ms to add one,
    100 ms to open one by VFIO. ``pause`` is the part of ``total`` in which VMs stand still.
    """
    rate = options.rate_mib_s * MIB
    used = sum(len(vm.vfs) for vm in facts.vms)
    active = [pf for pf in facts.pfs.values() if pf.enabled]
    waiting = [pf for pf in active if not (facts.kernel.keeps_vfs and drivers.facts_of(pf.driver).adopts_kept_vfs)]
    chooses = interface_after(facts, options).abilities.enable_only
    parts = {
        "unplug": 6.0 if used else 0.0,
        "shutdown": GUEST_DOWN_S if _down(facts) else 0.0,
        "copy": sum(vm.memory_bytes for vm in facts.vms if vm.live) / rate,
        "save": sum(min(vm.memory_bytes, REST) if vm.live else vm.memory_bytes for vm in facts.vms) / rate,
        "boot": options.boot_s,
        "enumerate": 1.0 * len(waiting),
        "enable": 0.1 * min(len(waiting), 1) if chooses else 0.1 * len(waiting),
        "add": 0.001 * (used if chooses else sum(pf.enabled for pf in active)),
        "restore": sum(vm.memory_bytes for vm in facts.vms) / rate,
        "plug": 0.1 * max((len(vm.vfs) for vm in facts.vms), default=0),
    }
    pause = sum(seconds for name, seconds in parts.items() if name not in BEFORE)
    total = sum(parts.values()) if used or _down(facts) else pause
    return {name: round(seconds, 3) for name, seconds in {**parts, "pause": pause, "total": total}.items()}


def of_vms(facts: Facts, options: Options, annotations: Mapping[str, Mapping[str, Any]]) -> Iterator[VmEstimate]:
    """Estimate each VM, in the order of their return.

    ``annotations``: by name, with priorities. The VMs that are restored with one share the disk with it.
    """
    parts = estimate(facts, options)
    fixed = parts["pause"] - parts["restore"]
    ordered = sorted(facts.vms, key=lambda vm: (-int(annotations.get(vm.name, {}).get("priority", 0)), vm.name))
    for number, vm in enumerate(ordered):
        read = sum(other.memory_bytes for other in ordered[: number + options.restore_at_once])
        pause = fixed + read / MIB / options.rate_mib_s
        if vm.name in _down(facts):
            pause += parts["shutdown"] + parts["copy"]
        before = 0.0 if vm.name in _down(facts) else sum(parts[name] for name in BEFORE)
        without = pause + before if vm.vfs else 0.0
        idle = pause + _waits(vm.memory_bytes, facts) / MIB / options.rate_mib_s if vm.live else pause
        yield VmEstimate(vm.name, vm.live, round(pause, 3), round(without, 3), round(idle, 3))


def _down(facts: Facts) -> set[str]:
    """Names of VMs that are shut down instead of saved."""
    return {vm.name for vm in facts.vms if facts.strategy(vm) == SHUTDOWN}


def _waits(own: int, facts: Facts) -> int:
    """Bytes that are still copied of others when a VM is done.

    All are copied side by side, each as fast as the next.
    """
    return sum(max(0, vm.memory_bytes - own) for vm in facts.vms if vm.live)


def to_shorten(facts: Facts, parts: Mapping[str, float]) -> str:
    """Name what would shorten an outage that is mostly memory."""
    stopped = [vm.name for vm in facts.vms if not vm.live and vm.memory_bytes]
    memory = parts["copy"] + parts["save"] + parts["restore"]
    if not facts.vms or memory < parts["total"] / 2:
        return ""
    ways = ["a faster disk (measure it: playbook rehearse)", "fewer VMs on this host"]
    if stopped:
        ways.insert(0, f"a QEMU with mapped-ram (9.0) for {_some(stopped)}")
    if any(vm.vfs and vm.live for vm in facts.vms):
        ways.append("a second NIC for guests, as their memory is copied while they run without VF")
    size = sum(vm.memory_bytes for vm in facts.vms) // MIB
    return f"{len(facts.vms)} VMs write {size} MiB to disk {facts.state_disk} and read it: {', or '.join(ways)}"


def interface_after(facts: Facts, options: Options) -> KernelInterface:
    """Expected kernel interface of the new kernel.

    By the operator's option, its System.map, else the stock one.
    """
    name = facts.kernel.interface if options.interface == "auto" else options.interface
    return INTERFACES.get(name or "", STOCK)


def _some(names: list[str]) -> str:
    more = len(names) - 5
    return ", ".join(names[:5]) + (f" and {more} more" if more > 0 else "")
