# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift: the difference of each PF from the host document.

For people and monitoring, so one PF that cannot be compared is no reason to leave out the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .._document.document import HostDocument, PfSpec
from .._engine.converge import read_host
from .._engine.named_pfs import altnames
from .._model.errors import BadInputError, RefusedError, SriovError
from .._model.state import FACTS, PfState
from .._plan.goal import Goal
from .._plan.plan import Plan, plan
from .._readers.pfs import read_known
from .._system.process import Run
from .._system.sysfs import Sysfs


@dataclass
class Drift:
    """Drift of a host.

    ``declared``: addresses of the PFs that the document means; ``plans``: those of them that can be planned.
    ``problems``: where the document does not fit the host; ``unread``, by address: why a PF could not be compared with
    it. PFs at which a write is under way are in none of the last three.
    """

    declared: set[str] = field(default_factory=set)
    plans: dict[str, Plan] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    def steps(self, address: str) -> int | None:
        """Number of steps as `sriovctl plan` shows it; None without a plan."""
        if address not in self.plans or not self.plans[address].steps:
            return 0 if address in self.plans else None
        from .._plan.steps import summary

        return len(summary(self.plans[address].steps))


def read(sysfs: Sysfs, run: Run, document: HostDocument) -> Drift:
    """Compare the host with the document; nothing is changed, and nothing refused."""
    try:
        plans = _planned(sysfs, run, document)
        return Drift(set(plans), plans)
    except BadInputError as error:
        drift = Drift(problems=list(error.mistakes))
    except SriovError:
        drift = Drift()
    for spec in document.pfs:
        for one in _each(sysfs, run, spec, drift):
            _add(sysfs, run, one, drift)
    return drift


def _each(sysfs: Sysfs, run: Run, spec: PfSpec, drift: Drift) -> Iterator[PfSpec]:
    """The spec once for each PF that it means, by address."""
    from .._document.lookup import find

    states = read_known(sysfs, FACTS)
    known = altnames(run, [spec.pf], states)
    try:
        found = find(spec.pf, states, known)
    except BadInputError as error:
        from .._engine.absent_pf import with_reasons

        _note(drift, with_reasons(sysfs, [spec.pf], states, known, error))
        return
    drift.declared |= {pf.address for pf in found}
    yield from (spec._replace(pf=pf.address) for pf in found)


def _add(sysfs: Sysfs, run: Run, spec: PfSpec, drift: Drift) -> None:
    try:
        drift.plans.update(_planned(sysfs, run, HostDocument((spec,))))
    except BadInputError as error:
        _note(drift, error)
    except RefusedError:
        return
    except SriovError as error:
        drift.unread[str(spec.pf)] = str(error)


def _note(drift: Drift, error: BadInputError) -> None:
    drift.problems += [one for one in error.mistakes if one not in drift.problems]


def _planned(sysfs: Sysfs, run: Run, document: HostDocument) -> dict[str, Plan]:
    states, resolved, reached = read_host(sysfs, run, document)
    return {str(spec.pf): _plan_of(states[str(spec.pf)], spec, reached.get(str(spec.pf))) for spec in resolved.pfs}


def _plan_of(current: PfState, spec: PfSpec, reached: Goal | None) -> Plan:
    """The plan, also where it would be refused.

    Disabling all VFs first may allow another order, so it is only taken where there is none without.
    """
    try:
        return plan(current, spec, reached)
    except RefusedError:
        return plan(current, spec._replace(allow_disruptive=True))
