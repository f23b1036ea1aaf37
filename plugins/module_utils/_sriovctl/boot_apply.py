# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Application of the host document at boot, PF by PF."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .._document.document import HostDocument
from .._document.selector import Selector
from .._engine.apply import ApplyError
from .._engine.converge import Report
from .._model.deadlines import BOOT_PAUSE_S
from .._model.errors import BadInputError, DeadlineError, SriovError
from .._system.patience import is_transient
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.update_guard import refuse_during_update
from .boot import Arrivals, Missing, Ready, read_arrivals


@dataclass
class BootApply:
    """Convergence of PFs as they arrive; none waits for another.

    A live update has precedence. ``converge`` brings PFs to a document; ``show`` gets each of its reports, ``log`` what
    is awaited. ``only``: the address of the one PF that is touched, and waited for.
    """

    sysfs: Sysfs
    run: Run
    converge: Callable[[HostDocument], Report]
    show: Callable[[Report], None]
    log: Callable[[str], None]
    only: str | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _owners: dict[str, int] = field(default_factory=dict)
    _seen: set[tuple[int, str]] = field(default_factory=set)
    _errors: list[SriovError] = field(default_factory=list)
    _passing: dict[str, SriovError] = field(default_factory=dict)
    _until: float = 0.0
    _changed: bool = False

    def apply(self, document: HostDocument, wait_s: float) -> None:
        """Bring PFs to the document as they arrive, within ``wait_s`` seconds.

        The last action is always a reading that shows nothing new. Then it raises the errors of single PFs, and
        `DeadlineError` naming what is missing; of several errors, or when something was changed, one `SriovError`.
        Raises `RefusedError` when a live update begins meanwhile.
        """
        until, logged = self.clock() + wait_s, False
        self._until = until
        while True:
            last = self.clock() >= until
            arrivals = self._read(document, last)
            if fresh := [one for one in arrivals.ready if self._is_fresh(one)]:
                self._converge([self._claimed(one, document) for one in fresh])
            elif last or not (arrivals.missing or arrivals.possible):
                break
            else:
                if not logged:
                    self.log(f"waiting up to {wait_s:g} s for {_awaited(arrivals)}")
                    logged = True
                self.sleep(BOOT_PAUSE_S)
        if arrivals.missing:
            missing = "; ".join(one.text for one in arrivals.missing)
            self._errors.append(DeadlineError(f"after {wait_s:g} s this is still missing: {missing}"))
        self._end()

    def _read(self, document: HostDocument, last: bool) -> Arrivals:
        """Arrivals; a PF that vanishes while being read counts as missing."""
        try:
            arrivals = read_arrivals(self.sysfs, self.run, document, last)
        except SriovError as error:
            return Arrivals((), (Missing(str(error), self.only),), ())
        if self.only is None:
            return arrivals
        mine = tuple(one for one in arrivals.ready if one.spec.pf == self.only)
        missing = (one for one in arrivals.missing if one.address == self.only or self._may_be_it(one, mine, last))
        return Arrivals(mine, tuple(missing), ())

    def _may_be_it(self, one: Missing, mine: Sequence[Ready], last: bool) -> bool:
        """Whether a PF name that is still missing may become this PF's."""
        return one.address is None and not mine and not last

    def _is_fresh(self, one: Ready) -> bool:
        """Whether this spec and PF are new; true once, whatever their result."""
        key = (one.place, str(one.spec.pf))
        fresh = key not in self._seen
        self._seen.add(key)
        return fresh

    def _claimed(self, one: Ready, document: HostDocument) -> Ready | None:
        """Claim a PF for its spec.

        None, and an error, for a PF that another spec has claimed.
        """
        if isinstance(one.spec.pf, Selector):
            return one
        owner = self._owners.setdefault(one.spec.pf, one.place)
        if owner == one.place:
            return one
        names = [str(document.pfs[place].pf) for place in (owner, one.place)]
        self._errors.append(
            BadInputError(
                f"PF {one.spec.pf} is declared twice, as '{names[0]}' and '{names[1]}': the second was left out"
            )
        )
        return None

    def _converge(self, claimed: Sequence[Ready | None]) -> None:
        """Converge all together; where that fails, one by one."""
        refuse_during_update(self.sysfs)
        ones = [one for one in claimed if one is not None]
        if not ones:
            return
        try:
            report = self.converge(HostDocument(tuple(one.spec for one in ones)))
        except ApplyError as error:
            self._changed = self._changed or bool(error.done)
            self._failed(error)
        except SriovError as error:
            if len(ones) == 1:
                self._errors.append(error)
                return
            for one in ones:
                self._converge([one])
        else:
            self._passed(report.states)
            self._changed = self._changed or report.plan.changed
            self.show(report)

    def _failed(self, error: ApplyError) -> None:
        """Keep the errors.

        PFs whose failure may pass are tried again, while there is time.
        """
        self._passed(error.done)
        known = {pf for _place, pf in self._seen}
        again = {pf for pf, one in error.failures.items() if is_transient(one) and pf in known}
        if not again or self.clock() >= self._until:
            self._errors.append(error)
            return
        self._seen = {(place, pf) for place, pf in self._seen if pf not in again}
        self._passing.update({pf: SriovError(f"PF {pf}: {error.failures[pf]}") for pf in again})
        final = {pf: one for pf, one in error.failures.items() if pf not in again}
        if final:
            self._errors.append(ApplyError(final, error.done))

    def _passed(self, pfs: Iterable[str]) -> None:
        for address in pfs:
            self._passing.pop(address, None)

    def _end(self) -> None:
        self._errors += self._passing.values()
        if not self._errors:
            return
        if len(self._errors) == 1 and not self._changed:
            raise self._errors[0]
        raise SriovError("; ".join(map(str, self._errors)))


def _awaited(arrivals: Arrivals) -> str:
    maybe = [f"PF {address}, which a selector may mean" for address in arrivals.possible]
    return "; ".join([*(one.text for one in arrivals.missing), *maybe])


def merged(reports: Sequence[Report]) -> Report:
    """One report, as of a single run."""
    first, *rest = reports
    for one in rest:
        plan = first.plan._replace(plans=first.plan.plans + one.plan.plans)
        seconds = (first.seconds or 0.0) + (one.seconds or 0.0)
        first = Report(plan, {**first.states, **one.states}, seconds, first.times + one.times)
    return first
