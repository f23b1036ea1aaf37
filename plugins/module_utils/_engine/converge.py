# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convergence: read, plan and apply in one go, for every entry point."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._document.document import HostDocument
from .._document.resolve import resolve
from .._model.deadlines import LOCK_S
from .._model.errors import RefusedError, SriovError
from .._model.paths import ALL_VF_DRIVERS, DEVICES, UNFINISHED
from .._model.state import PfState
from .._plan.plan import HostPlan, plan_resolved
from .._readers.pfs import read_known, read_pfs
from .._system import pf_lock
from .._system.read_once import ReadOnce, once, patient
from . import compliance

if TYPE_CHECKING:
    from .._plan.goal import Goal
    from .._system.process import Run
    from .._system.sysfs import Sysfs


class Report(NamedTuple):
    """A plan, and the states of its PFs.

    Unless it was a check, the plan is what was carried out, and ``states`` were read afterwards, without details of VFs
    where none were needed. ``seconds`` is None for a check, ``times`` has the seconds of each step.
    """

    plan: HostPlan
    states: Mapping[str, PfState]
    seconds: float | None = None
    times: tuple[dict[str, Any], ...] = ()

    def to_dict(self, full: bool = False, diff: bool = False) -> dict[str, Any]:
        """Result; ``times`` and ``seconds`` only after an apply.

        ``full``: VF by VF instead of by ranges of them. ``diff``: with a diff.
        """
        done = {} if self.seconds is None else {"times": self._times(full), "seconds": self.seconds}
        return {
            "changed": self.plan.changed,
            "steps": self.plan.summary(full),
            "notes": list(self.plan.notes),
            **({"diff": self.plan.diff(full)} if diff else {}),
            **done,
        }

    def _times(self, full: bool) -> list[dict[str, Any]]:
        if full or not self.times:
            return list(self.times)
        from .._plan.summary import in_few

        return in_few(self.times)


def converge(
    sysfs: Sysfs,
    run: Run,
    document: HostDocument,
    *,
    force: bool = False,
    allow_disruptive: bool = False,
    check: bool = False,
    lock_s: float | None = LOCK_S,
) -> Report:
    """Bring the host to the document, or with ``check`` only plan it.

    Raises as `plan_resolved` and `apply_host` do. ``force``: VFs in use may be taken away. ``allow_disruptive``: each
    PF may have all its VFs disabled first, as its spec may allow too. ``lock_s``: seconds to wait for PFs that other
    runs are changing (`pf_lock`); None takes no locks, for callers that are alone.

    A host that is as declared, and that no other run changes, is only read, without locks; what makes changes is not
    even imported.
    """
    run = patient(run)
    if allow_disruptive:
        document = HostDocument(tuple(pf._replace(allow_disruptive=True) for pf in document.pfs))

    def planned() -> Report:
        states, resolved, reached = read_host(sysfs, run, document)
        return Report(plan_resolved(states, resolved, reached, force=force), states)

    if check:
        return _asked(sysfs, run, _compared(sysfs, run, planned()))
    with contextlib.ExitStack() as locks:
        report = planned() if lock_s is None else _read_alone(sysfs, run, document, planned, locks, lock_s)
        if not _to_do(report):
            return report._replace(seconds=0.0)
        report = _compared(sysfs, run, report) if lock_s is not None else _warned(sysfs, report)
        return _done(sysfs, run, report, lock_s is None)


def _compared(sysfs: Sysfs, run: Run, report: Report) -> Report:
    """The report, compared with what there is beside its PFs."""
    if any(one.goal.target.properties for one in report.plan.plans if one.steps):
        from .other_addresses import refuse_used

        refuse_used(sysfs, run, report.plan)
    return _warned(sysfs, report)


def _warned(sysfs: Sysfs, report: Report) -> Report:
    if not _to_do(report):
        return report
    from .other_writes import warned

    return report._replace(plan=warned(sysfs, report.plan))


def _asked(sysfs: Sysfs, run: Run, report: Report) -> Report:
    if report.plan.changed:
        from .driver_check import refuse_impossible
        from .refusals import refuse_in_use
        from .undo_check import refuse_known

        refuse_in_use(sysfs, run, report.plan)
        refuse_known(report.plan)
        refuse_impossible(sysfs, run, report.plan)
    return report


def _done(sysfs: Sysfs, run: Run, report: Report, alone: bool) -> Report:
    from .apply import apply_host

    outcome = apply_host(sysfs, report.plan, run=run, alone=alone)
    after = {address: pf.state for address, pf in outcome.pfs.items()}
    return Report(outcome.plan._replace(others=report.plan.others), after, outcome.seconds, outcome.times)


def _to_do(report: Report) -> bool:
    """Whether there are steps to take or an unfinished run to forget."""
    return any(one.steps or one.current.unfinished for one in report.plan.plans)


def _read_alone(
    sysfs: Sysfs,
    run: Run,
    document: HostDocument,
    planned: Callable[[], Report],
    locks: contextlib.ExitStack,
    lock_s: float,
) -> Report:
    """Read and plan while no other run changes the PFs.

    ``locks`` hold the PFs where there is anything to do. Which PFs are meant is known only after a compliance check.
    That needs no lock where nothing is to be done; where it fails while other runs are at work, it is repeated when
    they have ended.
    """
    from .._system import update_guard  # late: without anything to do there is nothing to guard

    try:
        states, resolved, reached = read_host(sysfs, run, document, details=False)
    except SriovError:
        with pf_lock.held(sysfs, pf_lock.busy(sysfs, _addresses(sysfs, document)), lock_s) as others:
            if not others:
                raise
            states, resolved, reached = read_host(sysfs, run, document, details=False)
    mine = sorted(str(spec.pf) for spec in resolved.pfs)
    if len(reached) == len(mine) and not pf_lock.busy(sysfs, mine):
        return Report(plan_resolved(states, resolved, reached, force=False), states)
    locks.enter_context(pf_lock.held(sysfs, mine, lock_s))
    update_guard.refuse_during_update(sysfs)
    report = planned()
    now = sorted(one.current.address for one in report.plan.plans)
    if now != mine:
        raise RefusedError(f"the document meant PFs {', '.join(mine)}, and now {', '.join(now)}: try again")
    return report


def read_host(
    sysfs: Sysfs, run: Run, document: HostDocument, *, details: bool = True
) -> tuple[dict[str, PfState], HostDocument, dict[str, Goal]]:
    """Read PFs in the detail that planning needs, and resolve the document.

    Returns the PFs, the resolved document and the goals reached, by PCI address. Other PFs are read only when some PF
    is not named by its address, with only those facts that selectors use. No file is read and no command run twice.
    Raises `RefusedError` when a write is under way at a PF of the document; other PFs may be blocked.
    """
    sysfs, run = ReadOnce(sysfs), once(run)
    addresses = _addresses(sysfs, document)
    if addresses is not None:
        states = _with_records(sysfs, read_pfs(sysfs, addresses, vfs=False))
        resolved = resolve(document, states)
    else:
        from .._document import selector
        from . import named_pfs

        names = [spec.pf for spec in document.pfs]
        states = _with_records(sysfs, read_known(sysfs, selector.facts_of(names)))
        resolved = named_pfs.resolved(sysfs, run, document, states)
    states, reached = compliance.check(sysfs, run, states, resolved, details=details)
    return states, resolved, reached


def _addresses(sysfs: Sysfs, document: HostDocument) -> list[str] | None:
    """Addresses of the document's PFs; None unless all are named by address."""
    names = {spec.pf for spec in document.pfs}
    addresses = []
    for name in names:
        if not isinstance(name, str) or not _is_pf(sysfs, name):
            return None
        addresses.append(name)
    return sorted(addresses)


def _with_records(sysfs: Sysfs, states: dict[str, PfState]) -> dict[str, PfState]:
    """``states`` with recorded drivers and unfinished runs, mostly none."""
    if sysfs.names(ALL_VF_DRIVERS):
        from . import all_vf_drivers

        states = all_vf_drivers.known(sysfs, states)
    if sysfs.names(UNFINISHED):
        from . import journal

        states = journal.known(sysfs, states)
    return states


def _is_pf(sysfs: Sysfs, name: str) -> bool:
    return "sriov_totalvfs" in sysfs.names(f"{DEVICES}/{name}")
