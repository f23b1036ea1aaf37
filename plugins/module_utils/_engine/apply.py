# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application of a plan: steps of a PF in order, PFs side by side, undone after a failure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from .._holders import holders
from .._model import eswitch
from .._model.actions import Action, Command, SetEswitch, Write
from .._model.errors import BlockedError, PropertyError, SriovError, VerifyError
from .._model.properties import VfProperties
from .._model.state import PfState
from .._model.vf_ids import describe
from .._plan import vf_actions
from .._plan.plan import HostPlan, Plan
from .._plan.plan import plan as plan_pf
from .._plan.recovery import unfinished_if_stopped
from .._plan.shortfall import shortfall
from .._plan.steps import Step, summary
from .._readers.pfs import read_pfs
from .._system import blocked, process
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import all_vf_drivers, journal, reading, refusals
from .errno_hints import is_no_choice, meaning
from .execute import act
from .reading import Extent

_LEFT = (
    "the PF is left as it is, because whatever else reads or writes there would wait too; once the kernel has gone on, "
    "declare it again"
)


@dataclass(frozen=True)
class PfOutcome:
    """What was done to one PF and the state read afterwards; ``seconds`` of each step, wall clock time."""

    plan: Plan
    state: PfState
    seconds: tuple[float, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.plan.steps

    def timed(self) -> list[dict[str, Any]]:
        """Each step with its seconds."""
        return [{**step.to_dict(), "seconds": round(s, 6)} for step, s in zip(self.steps, self.seconds)]


@dataclass(frozen=True)
class Outcome:
    """Every PF reached its goal; by address."""

    pfs: Mapping[str, PfOutcome]
    seconds: float = 0.0

    @property
    def plan(self) -> HostPlan:
        """What was carried out, which is less than was planned where a PF's driver turned out not to allow it."""
        return HostPlan(tuple(pf.plan for pf in self.pfs.values()))

    @property
    def changed(self) -> bool:
        return self.plan.changed

    @property
    def notes(self) -> tuple[str, ...]:
        return self.plan.notes

    @property
    def times(self) -> tuple[dict[str, Any], ...]:
        """Each step with its seconds."""
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
    """Some PFs failed and were undone (``failures``, by address); ``done`` reached their goal."""

    def __init__(self, failures: Mapping[str, SriovError], done: Mapping[str, PfOutcome]) -> None:
        changed = [address for address, pf in done.items() if pf.steps]
        rest = f"; changed as planned: {', '.join(changed)}" if changed else ""
        super().__init__("; ".join(f"PF {address}: {error}" for address, error in failures.items()) + rest)
        self.failures, self.done = dict(failures), dict(done)


class _UndoneError(SriovError):
    """A failure after which the steps before it were undone; ``clean`` when all of that went well."""

    def __init__(self, message: str, cause: SriovError, clean: bool) -> None:
        super().__init__(message)
        self.cause, self.clean = cause, clean


@dataclass(frozen=True)
class _Host:
    sysfs: Sysfs
    run: Run
    force: bool
    careful: bool = False
    alone: bool = False
    clock: Callable[[], float] = field(default=time.monotonic)


def apply_host(sysfs: Sysfs, plan: HostPlan, *, run: Run = process.run, alone: bool = False) -> Outcome:
    """Carry the plan out; success comes from a fresh reading of every PF that changed.

    Raises `RefusedError` before anything is written when a VF in use would be taken away, `ApplyError` after undoing.

    Where VFs are taken away, or something is blocked already, all writes have a deadline. On stock kernels they always
    have: one that waits for the user of a VF blocks those to other PFs too (drivers/pci/iov.c, pci_lock_rescan_remove),
    and a new VF may have a user before a failure, here or in another run, takes it back. ``alone``: for who knows that
    neither happens, and cannot wait for writer processes to start, or be refused to read beside them.
    """
    refusals.refuse_in_use(sysfs, run, plan)
    careful = any(_may_wait(one, alone) for one in plan.plans) or bool(plan.changed and blocked.under_way(sysfs))
    host = _Host(sysfs, run, plan.force, careful, alone)
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


def _apply_pf(host: _Host, plan: Plan) -> PfOutcome:
    """Where the kernel could, but the PF's driver does not allow absent VFs, go on as on a stock kernel."""
    try:
        return _carry_out(host, plan)
    except _UndoneError as error:
        if not (is_no_choice(error.cause) and error.clean and plan.current.abilities.choose):
            raise
    all_vf_drivers.note(host.sysfs, plan.current)
    lesser = _lesser(host, plan)
    refusals.refuse_in_use(host.sysfs, host.run, HostPlan((lesser,), host.force))
    return _carry_out(replace(host, careful=host.careful or _may_wait(lesser, host.alone)), lesser)


def _lesser(host: _Host, plan: Plan) -> Plan:
    """The plan as on a stock kernel, which may need details that the first one did without."""
    now = read_pfs(host.sysfs, [plan.current.address], vfs=False)[plan.current.address]
    stock = all_vf_drivers.as_stock(now._replace(unfinished=plan.current.unfinished))
    return plan_pf(reading.for_planning(host.sysfs, host.run, stock, plan.spec), plan.spec)


def _carry_out(host: _Host, plan: Plan) -> PfOutcome:
    if not plan.steps:
        if plan.current.unfinished:
            journal.note(host.sysfs, plan.current.address, None)
        return PfOutcome(plan, plan.current)
    seconds: list[float] = []
    unfinished = unfinished_if_stopped(plan)
    if unfinished:
        journal.note(host.sysfs, plan.current.address, unfinished)
    try:
        for step in plan.steps:
            seconds.append(_timed(host, step))
        state = reading.again(host.sysfs, host.run, plan.current.address, Extent.of_goal(plan.goal))
        if missing := shortfall(plan.goal, state):
            raise VerifyError(f"all steps went through, but a fresh reading shows {'; '.join(missing)}")
    except Exception as error:  # whatever it is, the PF shall not stay as it is
        undone = _undone(host, plan, len(seconds), _named(error))
        if unfinished and undone.clean:
            journal.note(host.sysfs, plan.current.address, plan.current.unfinished)
        raise undone from error
    if unfinished:
        journal.note(host.sysfs, plan.current.address, None)
    return PfOutcome(plan, state, tuple(seconds))


def _named(error: Exception) -> SriovError:
    """Also what nobody has thought of has a name."""
    return error if isinstance(error, SriovError) else SriovError(f"unexpected {type(error).__name__}: {error}")


def _timed(host: _Host, step: Step) -> float:
    start = host.clock()
    act(host.sysfs, host.run, step.pf, step.action, host.careful)
    return host.clock() - start


def _undone(host: _Host, plan: Plan, finished: int, cause: SriovError) -> _UndoneError:
    """Undo the finished steps, last first, and say what happened; one undo that fails does not stop the others.

    Unless something is blocked in the kernel: the PF's other files, those that are only read among them, wait for the
    same lock, so it is left alone.
    """
    failed = plan.steps[finished] if finished < len(plan.steps) else None
    at = f"at step '{failed.what}' {_ids(failed)}".rstrip() + ": " if failed else ""
    if isinstance(cause, BlockedError):
        return _UndoneError(f"{at}{cause}{_waited_for(host, plan)}; {_LEFT}", cause, False)
    refused = frozenset(cause.properties) if isinstance(cause, PropertyError) else frozenset()
    actions: list[Action] = [*_half(failed, refused), *_renewed(host, plan.current, failed)] if failed else []
    for step in reversed(plan.steps[:finished]):
        actions += step.undo
    stuck = _undo(host, plan.current, actions, refused)
    after = f"undoing it failed too: {'; '.join(stuck)}" if stuck else "the PF is back in its previous state"
    return _UndoneError(f"{at}{cause}{meaning(cause)}; {after}", cause, not stuck)


def _half(failed: Step, refused: frozenset[str]) -> Iterator[Action]:
    """The undo of a program that may have done half, property by property when the kernel has ``refused`` some."""
    for action in failed.undo if isinstance(failed.action, (Command, SetEswitch)) else ():
        if refused and isinstance(action, Command):
            yield from (Command(argv, action.vf, ((given, argv),)) for given, argv in action.parts)
        else:
            yield action


def _renewed(host: _Host, current: PfState, failed: Step) -> Iterator[Action]:
    """What VFs need that ``failed`` was to take away, and that are new: a PF driver is asked when they are gone.

    When it refuses, the kernel adds them again (the series, patch 25), without override, bound by autoprobe at most.
    """
    if not failed.disrupts or not isinstance(failed.action, Write) or failed.what == "unbind":
        return
    try:
        now = read_pfs(host.sysfs, [current.address])[current.address].vfs
    except SriovError:
        return  # the last reading tells
    for vf_id in sorted(failed.disrupts & set(current.vfs) & set(now)):
        was, after = current.vfs[vf_id], now[vf_id]
        if was.driver_override != after.driver_override or (failed.what == "disable" and was.driver != after.driver):
            yield from vf_actions.restore(current, vf_id)


def _is_refused(action: Action, refused: frozenset[str]) -> bool:
    """Whether it sets nothing but properties that the kernel has ``refused``: what they are is seen by reading."""
    return (
        isinstance(action, Command)
        and bool(action.parts)
        and all(refused & set(given.to_dict()) for given, _argv in action.parts)
    )


def _undo(host: _Host, current: PfState, actions: Iterable[Action], refused: frozenset[str]) -> list[str]:
    """What went wrong with it."""
    errors: list[str] = []
    for action in actions:
        if errors and isinstance(action, SetEswitch):
            errors.append(f"eswitch_mode was not set to {action.mode}: VFs may be bound")
            continue
        try:
            act(host.sysfs, host.run, current.address, action, host.careful)
        except BlockedError as error:
            return [*errors, f"{error}; {_LEFT}"]
        except Exception as error:  # as above
            errors += [] if refused and _is_refused(action, refused) else [str(_named(error))]
    return errors + _not_restored(host, current)


def _waited_for(host: _Host, plan: Plan) -> str:
    """Who has VFs that were to be taken away, now that it matters; nothing of the PF's own files is read for it."""
    asked = {plan.current.address: (plan.current, plan.disrupts)}
    try:
        found = holders.read_holders(host.sysfs, host.run, asked, lenient=True)
    except SriovError:
        return ""  # that it is blocked matters more
    users = "; ".join(f"VF {vf_id} by {holder}" for (_pf, vf_id), holder in sorted(found.items()))
    return f" (in use: {users})" if users else ""


def _ids(step: Step) -> str:
    return f"of VF {step.to_dict()['vfs']}" if step.ids else ""


def _not_restored(host: _Host, current: PfState) -> list[str]:
    """What a fresh reading shows otherwise than before."""
    try:
        now = reading.again(host.sysfs, host.run, current.address, Extent.of_state(current))
    except Exception as error:  # as above
        return [str(_named(error))]
    return [f"{thing} was {was}, is {now}" for thing, was, now in _differences(current, now) if was != now]


def _differences(current: PfState, now: PfState) -> Iterator[tuple[str, object, object]]:
    yield "hardware_vfs", current.enabled, now.enabled
    yield "present_vfs", describe(current.present), describe(now.present)
    yield "drivers_autoprobe", current.autoprobe, now.autoprobe
    yield "settings", current.settings, now.settings
    for vf_id in sorted(set(current.vfs) & set(now.vfs)):
        was, after = current.vfs[vf_id], now.vfs[vf_id]
        yield f"driver of VF {vf_id}", was.driver, after.driver
        yield f"driver_override of VF {vf_id}", was.driver_override, after.driver_override
    lost = eswitch.kept_by_nobody(current.driver, current.settings.eswitch_mode)
    for vf_id, properties in sorted(current.properties.items()):
        given = now.properties.get(vf_id, VfProperties())
        yield f"properties of VF {vf_id}", properties.without(lost), given.without(lost)
    for vf_id, device in sorted(current.devices.items()):
        yield f"device of VF {vf_id}", device, now.devices.get(vf_id)
