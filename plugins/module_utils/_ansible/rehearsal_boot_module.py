# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module of rehearsals with a jump: arguments and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._live_update import rehearse_boot, reservation, throwaway, throwaway_removal
from .._live_update.machine import LiveHost
from .._live_update.rehearse_boot import Wanted
from .._model.errors import BadInputError
from .._model.paths import RELEASE
from .._vm.qemu.pattern_guest import LARGEST_MIB
from . import live_update_module
from .module import Module

STARTED, FINISHED, ABSENT = "started", "finished", "absent"
SMALLEST_MIB = 16
MOST = 100
"""Throw-away VMs of one rehearsal."""
SHARED = ("kernel", "initrd", "command_line", "budget_s", "host", "owner", "take_over", "options")
OPTIONS: dict[str, Any] = {
    "state": {"type": "str", "choices": [STARTED, FINISHED, ABSENT], "default": STARTED},
    "count": {"type": "int", "default": 3},
    "vm_mib": {"type": "list", "elements": "int", "default": [64, 256, 1024]},
    "size_mib": {"type": "int", "default": 1024},
    "accelerator": {"type": "str", "choices": list(throwaway.ACCELERATORS), "default": throwaway.AUTO},
    **{name: live_update_module.REQUEST_OPTIONS[name] for name in SHARED},
}


def declare(module: Module, host: LiveHost) -> dict[str, Any]:
    """Take a step of a rehearsal; returns the result of the module."""
    steps = {STARTED: _started, FINISHED: _finished, ABSENT: _absent}
    with live_update_module.alone(module, host):
        reservation.require_mine(host.folder, module.params["owner"], host.now(), module.params["take_over"])
        return steps[module.params["state"]](module, host)


def sizes(count: int, vm_mib: Sequence[int]) -> list[int]:
    """MiB of each VM: the sizes in turn.

    Raises `BadInputError` for what no throw-away VM can be.
    """
    if not 1 <= count <= MOST:
        raise BadInputError(f"count: {count} is not between 1 and {MOST}")
    wrong = [mib for mib in vm_mib if not SMALLEST_MIB <= mib <= LARGEST_MIB]
    if wrong or not vm_mib:
        raise BadInputError(f"vm_mib: {wrong or 'an empty list'}: sizes are between {SMALLEST_MIB} and {LARGEST_MIB}")
    return [vm_mib[number % len(vm_mib)] for number in range(count)]


def _started(module: Module, host: LiveHost) -> dict[str, Any]:
    wanted, mib = sizes(module.params["count"], module.params["vm_mib"]), module.params["size_mib"]
    if not 16 <= mib <= 65536:
        raise BadInputError(f"size_mib: {mib} is not between 16 and 65536")
    kernel = module.params["kernel"] or host.sysfs.read(RELEASE)
    request = live_update_module.request({**module.params, "kernel": kernel, "vms": []}, host.sysfs)
    changed = rehearse_boot.begin(
        host, request, Wanted(tuple(wanted), mib, module.params["accelerator"]), module.check_mode
    )
    after = {"kernel": kernel, "vm_mib": wanted} if changed else {}
    return {"changed": changed, "diff": {"before": {}, "after": after}}


def _finished(module: Module, host: LiveHost) -> dict[str, Any]:
    if module.check_mode:
        throwaway_removal.require_ended(host)
        return {"changed": True}
    found = rehearse_boot.end(host)
    return {
        "changed": True,
        "boot_s": found.boot.seconds,
        "vms": [{"name": name, "memory_mib": mib, "pause_s": pause} for name, mib, pause in found.vms],
        "rehearsal": found.after.to_dict(),
        "diff": {"before": found.before.to_dict(), "after": found.after.to_dict()},
    }


def _absent(module: Module, host: LiveHost) -> dict[str, Any]:
    if module.check_mode:
        return {"changed": throwaway.is_left(host.sysfs)}
    return {"changed": throwaway_removal.remove(host)}
