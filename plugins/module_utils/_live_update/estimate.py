# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimate of a live update's outage. Pure."""

from __future__ import annotations

from .._model import drivers
from .._model.kernel_interface import INTERFACES, STOCK, KernelInterface
from .facts import Facts
from .options import Options

MIB = 1 << 20


def estimate(facts: Facts, options: Options) -> dict[str, float]:
    """Estimate the longest outage of a VM, in seconds by part.

    All VMs share the disk: the last one waits for the memory of all. From the waits of the kernel: one second at
    enumeration for a PF that is found enabled, 100 ms to enable VFs, about 1 ms to add one, 100 ms to open one by VFIO.
    """
    memory = sum(vm.memory_bytes for vm in facts.vms) / MIB
    used = sum(len(vm.vfs) for vm in facts.vms)
    active = [pf for pf in facts.pfs.values() if pf.enabled]
    waiting = [pf for pf in active if not (facts.kernel.keeps_vfs and drivers.facts_of(pf.driver).adopts_kept_vfs)]
    chooses = interface_after(facts, options).abilities.enable_only
    parts = {
        "unplug": 6.0 if used else 0.0,
        "save": memory / options.rate_mib_s,
        "boot": options.boot_s,
        "enumerate": 1.0 * len(waiting),
        "enable": 0.1 * min(len(waiting), 1) if chooses else 0.1 * len(waiting),
        "add": 0.001 * (used if chooses else sum(pf.enabled for pf in active)),
        "restore": memory / options.rate_mib_s,
        "plug": 0.1 * max((len(vm.vfs) for vm in facts.vms), default=0),
    }
    return {**{name: round(value, 3) for name, value in parts.items()}, "total": round(sum(parts.values()), 3)}


def interface_after(facts: Facts, options: Options) -> KernelInterface:
    """Expected kernel interface of the new kernel.

    By the operator's option, its System.map, else the stock one.
    """
    name = facts.kernel.interface if options.interface == "auto" else options.interface
    return INTERFACES.get(name or "", STOCK)
