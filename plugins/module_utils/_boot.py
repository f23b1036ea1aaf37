# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying the host document at boot: PFs may appear late, and a live update may be at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from . import _selector
from ._document import HostDocument, PfSpec
from ._engine import altnames
from ._errors import BadInputError, DeadlineError
from ._process import Run
from ._selector import Selector
from ._state import PfState, read_known
from ._sysfs import Sysfs

DEADLINE_S = 60.0
PAUSE_S = 0.2


def wait_for_pfs(
    sysfs: Sysfs,
    run: Run,
    document: HostDocument,
    deadline_s: float = DEADLINE_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Until every PF of the document has its driver, and its network interface where VF properties are declared.

    PFs that a selector may mean as soon as they have a driver are waited for too, but then done without. Raises
    `DeadlineError` naming what is still missing.
    """
    until = clock() + deadline_s
    facts = _selector.facts_of(spec.pf for spec in document.pfs) | {"class"}
    while True:
        states = read_known(sysfs, facts)
        missing = _missing(run, document, states)
        if not missing and not _may_come(document, states):
            return
        if clock() >= until:
            break
        sleep(PAUSE_S)
    if missing:
        raise DeadlineError(f"after {deadline_s:g} s this is still missing: {'; '.join(missing)}")


def _missing(run: Run, document: HostDocument, states: Mapping[str, PfState]) -> list[str]:
    names = altnames(run, (spec.pf for spec in document.pfs), states)
    return [reason for spec in document.pfs for reason in _reasons(spec, states, names)]


def _may_come(document: HostDocument, states: Mapping[str, PfState]) -> bool:
    selectors = [spec.pf for spec in document.pfs if isinstance(spec.pf, Selector)]
    return any(selector.may_match_later(pf) for selector in selectors for pf in states.values())


def _reasons(spec: PfSpec, states: Mapping[str, PfState], names: Mapping[str, str]) -> list[str]:
    """Several PFs where one is meant are no reason to wait: that is an error, and stays one."""
    if isinstance(spec.pf, Selector):
        pfs = _selector.matching(spec.pf, states)
        if len(pfs) <= (spec.pf.index or 0):
            return [f"PF {spec.pf}"]
    else:
        try:
            pfs = _selector.find(spec.pf, states, names)
        except BadInputError:
            return [f"PF {spec.pf}"]
    return [reason for pf in pfs if (reason := _reason(spec, pf))]


def _reason(spec: PfSpec, pf: PfState) -> str:
    name = spec.pf if isinstance(spec.pf, str) else pf.address
    if pf.driver is None:
        return f"the driver of PF {name}"
    wants_netdev = spec.settings.mtu is not None or any(vf.properties for vf in spec.vfs)
    return f"the network interface of PF {name}" if wants_netdev and pf.netdev is None else ""
