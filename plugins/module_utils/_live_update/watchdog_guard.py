# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A watchdog around the jump: armed, fed, stopped in time.

Whatever hangs in between, the host resets, the firmware starts the boot default, and saved VMs go by their policies
there. From a guest's first instruction on a reset would lose its memory, so the watchdog is stopped before that.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from .._model.errors import KernelError, RefusedError, SriovError
from . import watchdog_facts, watchdog_plan, watchdog_unit
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .options import Options, parse
from .watchdog import Dog, Feeder
from .watchdog_plan import REQUIRE, Plan


class Guard:
    """A watchdog that is fed while a resume moves, or none."""

    def __init__(self, feeder: Feeder | None = None) -> None:
        self._feeder = feeder

    def step(self, guest_runs: bool) -> None:
        """Note a step; ``guest_runs``: a guest is about to run."""
        if self._feeder is not None:
            if guest_runs:
                self._feeder.release()
            else:
                self._feeder.moved()

    def release(self) -> None:
        if self._feeder is not None:
            self._feeder.release()


def stall_s(options: Options) -> float:
    """Longest time without a step: all its deadlines."""
    return options.drivers_s + options.start_s + options.migrate_s


@contextmanager
def armed(host: LiveHost, manifest: Manifest) -> Iterator[None]:
    """Arm the planned watchdog for the jump.

    A failure before it stops it.

    Raises `RefusedError` when it cannot be armed and is required.
    """
    plan, options = watchdog_plan.parse(manifest.watchdog, "manifest.watchdog"), parse(manifest.options)
    guard = Guard()
    if plan is not None:
        try:
            guard = Guard(_open(host, plan, plan.name, options))
        except (SriovError, OSError) as error:
            if options.watchdog == REQUIRE:
                raise RefusedError(f"the watchdog that guards the jump was not armed: {error}") from error
            host.log(f"no watchdog guards the jump: {error}")
    try:
        yield
    except Exception:
        guard.release()
        raise


def taken(host: LiveHost, manifest: Manifest) -> Guard:
    """Take over the watchdog that was armed before the jump.

    One that somebody else feeds already is theirs; one that nobody can stop (nowayout) is fed for good. Where VMs of
    the update run already it is stopped at once.
    """
    plan, options = watchdog_plan.parse(manifest.watchdog, "manifest.watchdog"), parse(manifest.options)
    if plan is None:
        return Guard()
    try:
        host.run(["modprobe", "--quiet", "--all", plan.module])
    except SriovError as error:
        host.log(f"watchdog {plan.identity}: {error}")
    try:
        guard = _take(host, plan, options)
        if any(host.pid(vm) is not None for vm in manifest.vms):
            guard.release()
        return guard
    except FAILURES as error:  # no VM stays stopped for a watchdog
        host.log(f"watchdog {plan.identity} is not fed by the resume: {error}")
        return Guard()


def _take(host: LiveHost, plan: Plan, options: Options) -> Guard:
    mine = [dog for dog in watchdog_facts.find(host.sysfs, host.run) if dog.identity == plan.identity]
    if not mine:
        raise RefusedError("this kernel has no such watchdog")
    try:
        if mine[0].nowayout:
            watchdog_unit.hand_over(host, mine[0].name, plan.timeout_s)
            return Guard()
        # an active one may be that of a resume that was killed: only who is refused knows that somebody has it
        return Guard(_open(host, plan, mine[0].name, options))
    except KernelError as error:
        if error.errno != errno.EBUSY:
            raise
        host.log(f"watchdog {mine[0]} is fed by {mine[0].holder or watchdog_facts.ANOTHER}")
        return Guard()


def stop_left(host: LiveHost, manifest: Manifest) -> None:
    """Stop a watchdog that a killed run has left armed.

    Its reset would lose the memory of VMs that run again. One that somebody has open is theirs.
    """
    plan = watchdog_plan.parse(manifest.watchdog, "manifest.watchdog")
    try:
        for dog in watchdog_facts.find(host.sysfs, host.run) if plan is not None else ():
            if dog.active and plan is not None and dog.identity == plan.identity:
                Dog(host.sysfs, dog.name).release()
                host.log(f"watchdog {dog} was left armed: it is stopped")
    except FAILURES as error:
        host.log(f"a watchdog that may be armed was not stopped: {error}")


def _open(host: LiveHost, plan: Plan, name: str, options: Options) -> Feeder:
    """Open and feed a watchdog.

    One that takes no such timeout is stopped."""
    dog = Dog(host.sysfs, name)
    try:
        made = dog.set_timeout(plan.timeout_s)
        if made < plan.timeout_s:
            raise RefusedError(f"{dog.path} has made {made} s of a timeout of {plan.timeout_s} s")
    except SriovError:
        dog.release()
        raise
    host.log(f"watchdog {name} ({plan.identity}) resets this host unless it is fed every {made} s")
    return Feeder(dog, made, stall_s(options), host.log)
