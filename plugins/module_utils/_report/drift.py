# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a host is from its document: for people and monitoring, so with as many answers as there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .._document.document import HostDocument, PfSpec
from .._engine.converge import altnames, read_host
from .._model.errors import BadInputError, RefusedError, SriovError
from .._model.state import FACTS, PfState
from .._plan.goal import Goal
from .._plan.plan import Plan, plan
from .._readers.pfs import read_known
from .._system.process import Run
from .._system.sysfs import Sysfs


@dataclass
class Drift:
    """``declared`` are the addresses of PFs that the document means, ``plans`` those of them that can be planned.

    ``problems`` say how the document does not fit the host; ``unread``, by address, why a PF could not be compared
    with it. PFs at which a write is under way are in none of these three.
    """

    declared: set[str] = field(default_factory=set)
    plans: dict[str, Plan] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    def steps(self, address: str) -> int | None:
        """As many as `sriovctl plan` shows; None where nothing is declared, or not known."""
        if address not in self.plans or not self.plans[address].steps:
            return 0 if address in self.plans else None
        from .._plan.steps import summary

        return len(summary(self.plans[address].steps))


def read(sysfs: Sysfs, run: Run, document: HostDocument) -> Drift:
    """Nothing is changed, and nothing refused: the question is how far it is, not whether anybody may go there."""
    try:
        plans = _planned(sysfs, run, document)
        return Drift(set(plans), plans)
    except BadInputError as error:
        drift = Drift(problems=[str(error)])
    except SriovError:
        drift = Drift()
    for spec in document.pfs:
        for one in _each(sysfs, run, spec, drift):
            _add(sysfs, run, one, drift)
    return drift


def _each(sysfs: Sysfs, run: Run, spec: PfSpec, drift: Drift) -> Iterator[PfSpec]:
    """The same wish for each of the PFs that it means, by its address."""
    from .._document.lookup import find

    states = read_known(sysfs, FACTS)
    try:
        found = find(spec.pf, states, altnames(run, [spec.pf], states))
    except BadInputError as error:
        _note(drift, error)
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
    if str(error) not in drift.problems:
        drift.problems.append(str(error))


def _planned(sysfs: Sysfs, run: Run, document: HostDocument) -> dict[str, Plan]:
    states, resolved, reached = read_host(sysfs, run, document)
    return {str(spec.pf): _way(states[str(spec.pf)], spec, reached.get(str(spec.pf))) for spec in resolved.pfs}


def _way(current: PfState, spec: PfSpec, reached: Goal | None) -> Plan:
    """Even when nobody may go there.

    A way through 0 that is allowed in general could be another one, so it is only taken where there is none without.
    """
    try:
        return plan(current, spec, reached)
    except RefusedError:
        return plan(current, spec._replace(allow_disruptive=True))
