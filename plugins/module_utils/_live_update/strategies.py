# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies of VMs: what an update does with each. Pure.

One that is shut down is not saved: nothing of its memory is written or read, and what only hinders a save is no matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .._vm.record import IN_PLACE, LEAVE, SHUTDOWN
from .facts import Facts
from .finding import Finding


def of(annotations: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Strategies that the operator has chosen, by the VM's name."""
    return {name: str(item.get("strategy") or IN_PLACE) for name, item in annotations.items()}


def judged(facts: Facts) -> Facts:
    """Facts with the memory of each VM that is saved."""
    vms = (vm if facts.strategy(vm) != SHUTDOWN else replace(vm, memory_bytes=0, live=False) for vm in facts.vms)
    return replace(facts, vms=tuple(vms))


def check(facts: Facts) -> Iterator[Finding]:
    """Find the VMs for whose sake their host is left alone."""
    for vm in facts.vms:
        if facts.strategy(vm) == LEAVE:
            yield Finding(
                "leave",
                f"VM {vm.name} (process {vm.pid}) runs here, and its strategy is {LEAVE}: this host is left alone",
                "run it on another host, or give it another strategy in live_update_vms",
            )
