# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application of plans: PFs in parallel, steps in order, undone on failure."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from .._model.errors import SriovError, VerifyError
from .._model.state import PfState
from .._plan.clauses import joined
from .._plan.plan import HostPlan, Plan
from .._plan.plan import plan as plan_pf
from .._plan.recovery import unfinished_if_stopped
from .._plan.shortfall import shortfall
from .._plan.steps import Step, summary
from .._readers.pfs import read_pfs
from .._system import blocked, process
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import all_vf_drivers, driver_check, journal, other_writes, reading, refusals, undo_check
from .errno_hints import is_no_choice
from .execute import act
from .reading import Extent
from .undo import Applying, UndoneError, named, undone


@dataclass(frozen=True)
class PfOutcome:
    """One PF's plan as carried out, state afterwards, and seconds by step."""

    plan: Plan
    state: PfState
    seconds: tuple[float, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.plan.steps

    def timed(self) -> list[dict[str, Any]]:
        """Steps as mappings, with their seconds."""
        return [{**step.to_dict(), "seconds": round(s, 6)} for step, s in zip(self.steps, self.seconds)]


@dataclass(frozen=True)
class Outcome:
    """PFs by address, all of which reached their goal."""

    pfs: Mapping[str, PfOutcome]
    seconds: float = 0.0

    @property
    def plan(self) -> HostPlan:
        """Plan carried out; less than planned where a driver refused absent VFs."""
        return HostPlan(tuple(pf.plan for pf in self.pfs.values()))

    @property
    def changed(self) -> bool:
        return self.plan.changed

    @property
    def notes(self) -> tuple[str, ...]:
        return self.plan.notes

    @property
    def times(self) -> tuple[dict[str, Any], ...]:
        """Steps of all PFs as mappings, with their seconds."""
        return tuple(row for pf in self.pfs.values() for row in pf.timed())

    def to_dict(self) -> dict[str, Any]:
        return {
            "changed": self.changed,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 6),
            "steps": summary(self.plan.steps),
            "times": list(self.times),
        }


class ApplyError(SriovError):
    """Failure of some PFs, whose steps were undone.

    ``failures``: errors by address. ``done``: PFs that reached their goal.
    """

    def __init__(self, failures: Mapping[str, SriovError], done: Mapping[str, PfOutcome]) -> None:
        changed = [address for address, pf in done.items() if pf.steps]
        rest = f"; changed as planned: {', '.join(changed)}" if changed else ""
        super().__init__("; ".join(f"PF {address}: {error}" for address, error in failures.items()) + rest)
        self.failures, self.done = dict(failures), dict(done)


def apply_host(sysfs: Sysfs, plan: HostPlan, *, run: Run = process.run, alone: bool = False) -> Outcome:
    """Carry out the plan; verify changed PFs by a fresh reading.

    Raises `RefusedError` before anything is written when a VF in use would be taken away, or when an undo could not
    work, `ApplyError` after undoing.

    All writes have a deadline where VFs are taken away, or where something is blocked already. On stock kernels they
    always have: a write that waits for the holder of a VF blocks those to other PFs too (drivers/pci/iov.c,
    pci_lock_rescan_remove), and a new VF may have a holder before a failure, here or in another run, takes it back.
    ``alone``: for callers who know that neither happens, and who can neither wait for writer processes to start nor be
    refused to read beside them.
    """
    refusals.refuse_in_use(sysfs, run, plan)
    if any(one.goal.target.drivers or one.current.driver is None for one in plan.plans):
        driver_check.refuse_impossible(sysfs, run, plan)
    if any(one.current.properties for one in plan.plans):
        undo_check.refuse_known(plan)
    careful = any(_may_wait(one, alone) for one in plan.plans) or bool(plan.changed and blocked.under_way(sysfs))
    host = Applying(sysfs, run, plan.force, careful, alone)
    start = host.clock()
    done: dict[str, PfOutcome] = {}
    failures: dict[str, SriovError] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(plan.plans))) as pool:
        futures = {one.current.address: pool.submit(_apply_pf, host, one) for one in plan.plans}
    sysfs.close()
    for address, future in futures.items():
        try:
            done[address] = future.result()
        except SriovError as error:
            failures[address] = error
    if failures:
        raise ApplyError(failures, done)
    return Outcome(done, host.clock() - start)


def _may_wait(plan: Plan, alone: bool) -> bool:
    return bool(plan.disrupts or (plan.steps and plan.current.abilities.one_queue and not alone))


def _apply_pf(host: Applying, plan: Plan) -> PfOutcome:
    """Carry out a plan; as on stock kernels where the driver refuses."""
    try:
        return _carry_out(host, plan)
    except UndoneError as error:
        if not (is_no_choice(error.cause) and error.clean and plan.current.abilities.choose):
            raise
    all_vf_drivers.note(host.sysfs, plan.current)
    lesser = _lesser(host, plan)
    refusals.refuse_in_use(host.sysfs, host.run, HostPlan((lesser,), host.force))
    return _carry_out(replace(host, careful=host.careful or _may_wait(lesser, host.alone)), lesser)


def _lesser(host: Applying, plan: Plan) -> Plan:
    """Plan as on a stock kernel, from a reading with its details."""
    now = read_pfs(host.sysfs, [plan.current.address], vfs=False)[plan.current.address]
    stock = all_vf_drivers.as_stock(now._replace(unfinished=plan.current.unfinished))
    return plan_pf(reading.for_planning(host.sysfs, host.run, stock, plan.spec), plan.spec)


def _carry_out(host: Applying, plan: Plan) -> PfOutcome:
    if not plan.steps:
        if plan.current.unfinished:
            journal.note(host.sysfs, plan.current.address, None)
        return PfOutcome(plan, plan.current)
    if plan.current.properties and plan.goal.target.properties and not host.force:
        undo_check.refuse_tried(host, plan)
    seconds: list[float] = []
    other_writes.forget(host.sysfs, plan.current.address)
    unfinished = unfinished_if_stopped(plan)
    if unfinished:
        journal.note(host.sysfs, plan.current.address, unfinished)
    try:
        for step in plan.steps:
            seconds.append(_timed(host, step))
        state = reading.again(host.sysfs, host.run, plan.current.address, Extent.of_goal(plan.goal))
        if missing := shortfall(plan.goal, state):
            raise VerifyError(f"all steps went through, but a fresh reading shows {joined(missing)}")
    except Exception as error:  # whatever it is, the PF shall not stay as it is
        failure = undone(host, plan, len(seconds), named(error))
        if unfinished and failure.clean:
            journal.note(host.sysfs, plan.current.address, plan.current.unfinished)
        raise failure from error
    if unfinished:
        journal.note(host.sysfs, plan.current.address, None)
    other_writes.note(host.sysfs, state)
    return PfOutcome(plan, state, tuple(seconds))


def _timed(host: Applying, step: Step) -> float:
    start = host.clock()
    act(host.sysfs, host.run, step.pf, step.action, host.careful)
    return host.clock() - start
