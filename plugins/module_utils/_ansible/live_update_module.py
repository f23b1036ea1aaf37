# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the live update: arguments and results.

From arguments to the node's functions, and from their answers to the exit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._live_update import act_lock, arm, machine, options, rehearsal, reservation, run_unit, vm_choices
from .._live_update.arm import Request
from .._live_update.checks import PLACES
from .._live_update.facts import Facts
from .._live_update.machine import LiveHost
from .._live_update.preflight import Verdict
from .._model.errors import RefusedError
from .._model.update_deadlines import BUDGET_S
from .._system import update_folder
from .._system.sysfs import Sysfs
from .._vm.record import IN_PLACE, LEAVE, POLICIES, RESTORE, STRAGGLERS, STRATEGIES
from . import live_update_answer, live_update_end
from .module import Module

CHECK_OPTIONS: dict[str, Any] = {
    "agent": {"type": "bool"},
    "arp": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "ping": {"type": "str"},
    "from": {"type": "str", "choices": list(PLACES)},
    "interface": {"type": "str"},
    "within_s": {"type": "float"},
}
VM_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "on_other_kernel": {"type": "str", "choices": list(POLICIES), "default": RESTORE},
    "priority": {"type": "int", "default": 0},
    "cold_start": {"type": "bool", "default": False},
    "strategy": {"type": "str", "choices": list(STRATEGIES), "default": IN_PLACE},
    "straggler": {"type": "str", "choices": list(STRAGGLERS), "default": LEAVE},
    "dry_start": {"type": "bool", "default": True},
    "heartbeat": {"type": "dict"},
    "check": {"type": "dict", "options": CHECK_OPTIONS},
    "to": {"type": "str"},
}
REQUEST_OPTIONS: dict[str, Any] = {
    "kernel": {"type": "str"},
    "initrd": {"type": "str", "default": "auto"},
    "command_line": {"type": "str", "default": ""},
    "budget_s": {"type": "float", "default": BUDGET_S},
    "host": {"type": "str", "default": ""},
    "owner": {"type": "str", "default": ""},
    "take_over": {"type": "bool", "default": False},
    "vms": {"type": "list", "elements": "dict", "options": VM_OPTIONS, "default": []},
    "options": {"type": "dict", "default": {}},
}


def this_host(module: Module, sysfs: Sysfs) -> LiveHost:
    """The host that the module runs on.

    Lines for the journal are dropped: a module answers with its result.
    """
    return machine.real(sysfs, options.parse(module.params.get("options")), lambda _line: None)


def request(params: dict[str, Any], sysfs: Sysfs) -> Request:
    """The operator's request, with what was rehearsed on the host."""
    initrd = {"none": None, "": None}.get(params["initrd"], params["initrd"])
    parsed, basis = rehearsal.applied(sysfs, options.parse(params["options"]), params["options"], params["kernel"])
    return Request(
        host=params["host"],
        release=params["kernel"],
        initrd=initrd,
        cmdline_extra=params["command_line"],
        budget_s=params["budget_s"],
        options=parsed,
        basis=basis,
        vms=vm_choices.by_name(params["vms"]),
        owner=params["owner"],
        take_over=params["take_over"],
    )


def declare(module: Module, host: LiveHost) -> dict[str, Any]:
    """Bring the live update to a state; returns the result of `live_update`.

    Others act before or after, never meanwhile, and not where they have not reserved the host.
    """
    states = {
        "moved": _moved,
        "armed": _armed,
        "started": _started,
        "acknowledged": live_update_end.acknowledged,
        "cancelled": _cancelled,
    }
    with alone(module, host):
        _require_mine(module, host)
        answer = states[module.params["state"]](module, host)
    status = host.folder.read_status() or {}
    return {"phase": status.get("phase"), "manifest_id": status.get("manifest"), **answer}


def _require_mine(module: Module, host: LiveHost) -> None:
    """Require a host that is free or mine; a take-over is said."""
    found, owner, take_over = reservation.load(host.folder), module.params["owner"], module.params["take_over"]
    reservation.require_mine(host.folder, owner, host.now(), take_over)
    if found is not None and take_over and found.keeps_out(owner, host.now()):
        module.warn(f"taken over by '{owner}': this host was {found}")


@contextmanager
def alone(module: Module, host: LiveHost) -> Iterator[None]:
    """Lock acts; check mode, which writes nothing, waits for others' end."""
    if module.check_mode:
        act_lock.wait_until_free(host.sysfs)
        yield
    else:
        with act_lock.held(host.sysfs):
            yield


def info(module: Module, host: LiveHost) -> dict[str, Any]:
    """Result of `live_update_info`: status and result, perhaps a preflight.

    The preflight is made when a kernel is named.
    """
    answer: dict[str, Any] = {
        "changed": False,
        "status": host.folder.read_status(),
        "result": host.folder.read_result(),
        "run_unit": run_unit.state(host),
        "preflight": None,
    }
    if module.params["kernel"]:
        wanted = request(module.params, host.sysfs)
        facts, verdict = arm.examine(host, wanted)
        answer["preflight"] = live_update_answer.preflight(facts, verdict, wanted, host)
    return answer


def _moved(module: Module, host: LiveHost) -> dict[str, Any]:
    """Move VMs away from a host that could be updated then."""
    wanted = request(module.params, host.sysfs)
    facts, verdict = _examined(host, wanted)
    found = live_update_answer.preflight(facts, verdict, wanted, host)
    if not facts.leaving:
        return {"changed": False, "moved": [], "preflight": found}
    names = [vm.name for vm in facts.leaving] if module.check_mode else arm.move_away(host, wanted, facts)
    return {"changed": True, "moved": names, "preflight": found}


def _examined(host: LiveHost, wanted: Request) -> tuple[Facts, Verdict]:
    """Examine a host that is free; raises `RefusedError` with all reasons."""
    if run_unit.is_active(host):
        raise RefusedError(f"{run_unit.RUN_UNIT} is running: an update of this host has begun")
    arm.require_free(host, wanted)
    facts, verdict = arm.examine(host, wanted)
    if verdict.refusals:
        raise RefusedError("; ".join(str(item) for item in verdict.refusals))
    return facts, verdict


def _armed(module: Module, host: LiveHost) -> dict[str, Any]:
    wanted = request(module.params, host.sysfs)
    facts, verdict = _examined(host, wanted)
    if facts.leaving and not module.check_mode:
        names = ", ".join(vm.name for vm in facts.leaving)
        raise RefusedError(f"VM {names} is to be moved to another host, and runs here still: use state: moved before")
    manifest = arm.plan(host, wanted, facts)
    same = arm.armed(host, manifest)
    found = reservation.load(host.folder)
    taken = found is not None and found.keeps_out(wanted.owner, host.now())
    if same is None and not module.check_mode:
        arm.arm(host, manifest, wanted)
    elif same is not None and taken and not module.check_mode:
        arm.reserve(host, same, wanted)
    return {
        "changed": same is None or taken,
        "preflight": live_update_answer.preflight(facts, verdict, wanted, host),
        "diff": {"before": live_update_answer.short(same), "after": live_update_answer.short(same or manifest)},
    }


def _started(module: Module, host: LiveHost) -> dict[str, Any]:
    """Start the armed update; one that names a kernel is armed first.

    Both under one lock, so that no other controller arms in between.
    """
    status = host.folder.read_status()
    phase = (status or {}).get("phase", update_folder.ARMED)
    if phase != update_folder.ARMED or run_unit.is_active(host):
        return {"changed": False}
    armed = _armed(module, host) if module.params["kernel"] else {}
    if module.check_mode and armed.get("changed"):
        return armed
    if host.folder.read_status() is None:
        raise RefusedError("nothing is armed on this host: name the kernel, or use state: armed first")
    if not host.kexec.loaded():
        raise RefusedError("the armed kernel is not loaded any more: use state: armed again")
    if not module.check_mode:
        run_unit.start(host)
    return {**armed, "changed": True}


def _cancelled(module: Module, host: LiveHost) -> dict[str, Any]:
    if not module.check_mode and run_unit.is_active(host):
        raise RefusedError(f"{run_unit.RUN_UNIT} is running: stop it first, it then brings the VMs back")
    return live_update_end.cancelled(module, host)
