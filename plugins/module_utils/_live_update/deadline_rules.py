# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines that contradict each other, or the memory of VMs. Pure.

A restore that is given less time than its disk needs fails in the outage, when nothing but a second try is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .estimate import MIB, REST
from .facts import Facts
from .finding import Finding
from .longest import parts
from .options import Options


def check(facts: Facts, options: Options) -> Iterator[Finding]:
    """Find contradictions that are certain, with the values.

    Of the controller's wait with what a single VM may take, and of deadlines with a disk's measured or given rate.
    """
    yield from _wait(options, 1)
    yield from _hold(options, 1)
    if _is_known(options):
        yield from _memory(facts, options)


def warnings(facts: Facts, options: Options) -> Iterator[Finding]:
    """Find likely ones: of all VMs, or of an assumed rate."""
    if not list(_wait(options, 1)):
        yield from _wait(options, len(facts.vms))
    if not list(_hold(options, 1)):
        yield from _hold(options, len(facts.vms))
    if not _is_known(options):
        for one in _memory(facts, options):
            yield Finding(one.code, one.problem, f"measure the disk (playbook rehearse), or {one.fix}")


def _is_known(options: Options) -> bool:
    """Whether the disk's rate was measured or given, not assumed."""
    return options.rate_mib_s != Options.rate_mib_s


def _wait(options: Options, vms: int) -> Iterator[Finding]:
    found = _of_one(options) if vms == 1 else parts(options, vms)
    need = sum(found.values())
    if need <= options.wait_s:
        return
    who = "one VM" if vms == 1 else f"{vms} VMs, {options.restore_at_once} at a time,"
    what = ", ".join(f"{name} {seconds:g}" for name, seconds in found.items() if seconds)
    yield Finding(
        "deadlines",
        f"by its deadlines an update of {who} may take {need:g} s ({what}), and the controller waits "
        f"{options.wait_s:g} s: it would report as lost what is still at work",
        f"raise live_update_timeout_s to {need:.0f}, or lower copy_s, migrate_s or start_s in live_update_options",
    )


def _hold(options: Options, vms: int) -> Iterator[Finding]:
    """A hold that expires while VMs may still wait for their start."""
    need = sum((_of_one(options) if vms == 1 else parts(options, vms)).values())
    if options.hold_s and need >= options.hold_s:
        yield Finding(
            "hold",
            f"by its deadlines an update of {'one VM' if vms == 1 else f'{vms} VMs'} may take {need:g} s, and the hold "
            f"of its HA manager lasts {options.hold_s:g} s: VMs that are late are not started by themselves",
            f"raise live_update_hold_s above {need:.0f}",
        )


def _of_one(options: Options) -> Mapping[str, float]:
    """Deadlines of one VM; of the boot its time, not a watchdog's."""
    return {**parts(options, 1), "boot_s": options.boot_s}


def _memory(facts: Facts, options: Options) -> Iterator[Finding]:
    sizes = sorted((vm.memory_bytes for vm in facts.vms), reverse=True)
    together = min(len(sizes), options.restore_at_once)
    jobs = (
        ("copying", "copy_s", options.copy_s, [vm.memory_bytes for vm in facts.vms if vm.live]),
        ("saving", "migrate_s", options.migrate_s, [_stopped(vm.memory_bytes, vm.live) for vm in facts.vms]),
        ("reading", "migrate_s", options.migrate_s, sizes[:together]),
    )
    for what, name, deadline, memory in jobs:
        need = sum(memory) / MIB / options.rate_mib_s
        if need > deadline:
            fewer = f", or lower restore_at_once (it is {together})" if what == "reading" and together > 1 else ""
            yield Finding(
                "deadline-memory",
                f"{what} {sum(memory) // MIB} MiB of {len(memory)} VMs at the same time takes {need:.0f} s at "
                f"{options.rate_mib_s:g} MiB/s, and {name} is {deadline:g} s",
                f"raise {name} in live_update_options to {2 * need:.0f}{fewer}",
            )


def _stopped(size: int, live: bool) -> int:
    """Bytes of a VM that are written while it is stopped."""
    return min(size, REST) if live else size
