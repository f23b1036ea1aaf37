# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rehearsal of a whole update, with VMs that have nothing to lose.

On a host without other VMs: throw-away VMs are saved, the kernel jumps, they come back, and all of their memory is
compared. What the jump takes is kept for later estimates and deadlines.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._model.errors import RefusedError, SriovError
from .._model.update_deadlines import LONGEST_BOOT_S
from .._system import update_folder
from . import arm, rehearsal, rehearse_disks, run_unit, throwaway, throwaway_memory, throwaway_removal
from .abort import quietly
from .arm import Request
from .facts import Facts
from .machine import FAILURES, LiveHost
from .preflight import MIB, SPARE_DISK, Verdict
from .rehearsal import Boot, Rehearsal
from .throwaway import Record, ThrowAway

SPARE_MEMORY_MIB = 512
"""MiB of the host's memory that throw-away VMs leave free."""


@dataclass(frozen=True)
class Wanted:
    """A rehearsal to begin.

    ``sizes``: of its VMs in MiB; ``disk_mib``: that are written and read; ``accelerator``: of QEMU, or ``auto``.
    """

    sizes: tuple[int, ...]
    disk_mib: int
    accelerator: str = throwaway.AUTO


@dataclass(frozen=True)
class Rehearsed:
    """Result of a rehearsal.

    ``vms``: each one's name, memory in MiB, and pause in seconds.
    """

    before: Rehearsal
    after: Rehearsal
    boot: Boot
    vms: tuple[tuple[str, int, float], ...]


def begin(host: LiveHost, request: Request, wanted: Wanted, check_mode: bool) -> bool:
    """Start throw-away VMs and a live update of the host with them.

    What an earlier rehearsal has left is removed first; one that is at work goes on: returns False. In check mode only
    what speaks against it is looked for. Raises `RefusedError`; whatever fails, nothing stays.
    """
    if throwaway_removal.is_under_way(host):
        return False
    program = throwaway.program(host.sysfs, host.kexec.machine)
    accelerator = throwaway.accelerator(host.sysfs, wanted.accelerator)
    request = replace(request, vms={}, options=replace(request.options, whole_hash=True))
    if check_mode:
        _require_possible(host, request, wanted.sizes, throwaway.is_left(host.sysfs))
        return True
    throwaway_removal.remove(host)
    arm.require_free(host, request)
    _require_possible(host, request, wanted.sizes)
    rehearse_disks.run(host, wanted.disk_mib, check_mode=False)
    try:
        _start(host, request, _vms(wanted.sizes), program, accelerator)
    except BaseException:
        quietly(host, lambda: throwaway_removal.remove(host))
        raise
    return True


def end(host: LiveHost) -> Rehearsed:
    """Compare the VMs' memory, end them, and keep what was measured.

    Nothing of the rehearsal stays, and nothing is kept of one that has failed. Raises `SriovError` with all that was
    wrong, `RefusedError` before the update has ended.
    """
    record = throwaway_removal.require_ended(host)
    result = host.folder.read_result() or {}
    wrong = [*_update_failed(result, record), *_differences(host, record)]
    seconds = _seconds(result)
    if not wrong and not 0 < seconds < LONGEST_BOOT_S:
        wrong.append(f"by the host's clock the boot took {seconds:g} s: set that right (hwclock --systohc)")
    throwaway_removal.remove(host)
    if wrong:
        raise SriovError(f"the rehearsal of the jump into {record.release} failed: {'; '.join(wrong)}")
    before = rehearse_disks.known(host)
    boot = Boot(
        record.release, str(result["kernel_before"]), round(seconds, 3), sum(vm.mib for vm in record.vms), host.now()
    )
    after = replace(before, boots={**before.boots, record.release: boot})
    rehearsal.store(host.sysfs, after)
    pauses = {vm["name"]: round(vm["resumed_at"] - vm["stopped_at"], 3) for vm in result["vms"]}
    return Rehearsed(before, after, boot, tuple((vm.name, vm.mib, pauses[vm.name]) for vm in record.vms))


def _vms(sizes: Sequence[int]) -> tuple[ThrowAway, ...]:
    return tuple(
        ThrowAway(f"rehearsal-{number}", mib, secrets.randbits(31) | 1 << 31) for number, mib in enumerate(sizes, 1)
    )


def _start(host: LiveHost, request: Request, vms: Sequence[ThrowAway], program: str, accelerator: str) -> None:
    """Start VMs, note their memory, arm and start the update.

    The record names the update before it is armed, so that whoever removes it later knows whose it is.
    """
    record = Record(request.release, tuple(vms))
    throwaway.store(host.sysfs, record)
    throwaway_memory.start(host, vms, program, accelerator)
    record = replace(record, vms=tuple(throwaway_memory.filled(host, vm) for vm in vms))
    facts, verdict = arm.examine(host, request)
    _require_no_other(host, facts)
    _require_none(verdict)
    manifest = arm.plan(host, request, facts)
    throwaway.store(host.sysfs, replace(record, manifest=manifest.id))
    arm.arm(host, manifest, request)
    run_unit.start(host)


def _require_possible(host: LiveHost, request: Request, sizes: Sequence[int], left: bool = False) -> None:
    """Require a host without VMs, with space for the throw-away ones.

    ``left``: with the rest of a rehearsal, which will be removed before.
    """
    facts, verdict = arm.examine(host, request)
    _require_no_other(host, facts)
    _require_none(verdict, ("in-progress", "vm", "budget", "dry-start") if left else ())
    memory, disk = sum(sizes) + SPARE_MEMORY_MIB, sum(sizes) + len(sizes) * (SPARE_DISK // MIB)
    for what, need, free in (
        ("memory", memory, facts.memory_free_bytes // MIB),
        ("disk space", disk, facts.disk_free_bytes // MIB),
    ):
        if need > free and not left:
            raise RefusedError(
                f"{len(sizes)} throw-away VMs need {need} MiB of {what}, {free} MiB are free: choose fewer, or smaller "
                "ones"
            )


def _require_no_other(host: LiveHost, facts: Facts) -> None:
    """Require that no VM runs but those of the rehearsal."""
    mine = throwaway.running(host.sysfs)
    others = sorted(f"{vm.name} (process {vm.pid})" for vm in facts.vms if vm.pid not in mine)
    if others:
        raise RefusedError(
            f"mode boot is for a host without VMs, and VMs run here: {', '.join(others)}. Migrate them away or shut "
            "them down first, or use mode disks"
        )


def _require_none(verdict: Verdict, besides: Sequence[str] = ()) -> None:
    found = [str(item) for item in verdict.refusals if item.code not in besides]
    if found:
        raise RefusedError("; ".join(found))


def _update_failed(result: Mapping[str, Any], record: Record) -> Iterator[str]:
    if result.get("manifest") != record.manifest:
        yield "it has no result of this rehearsal"
    elif result.get("result") != "updated":
        yield f"the update ended as '{result.get('result')}': {result.get('error')}"
    elif result.get("kernel_after") != record.release:
        yield f"the host runs {result.get('kernel_after')}"


def _differences(host: LiveHost, record: Record) -> Iterator[str]:
    for vm in record.vms:
        try:
            found = throwaway_memory.difference(host, vm)
        except FAILURES as error:
            found = str(error)
        if found is not None:
            yield f"VM {vm.name}: {found}"


def _seconds(result: Mapping[str, Any]) -> float:
    """Seconds from the kexec to the resume unit, else 0."""
    starts = {phase["name"]: float(phase["start"]) for phase in result.get("phases", ())}
    if not {update_folder.KEXEC, update_folder.RESUMING} <= starts.keys():
        return 0.0
    return starts[update_folder.RESUMING] - starts[update_folder.KEXEC]
