# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying the host document at boot: PFs may appear late, and a live update may be at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ._document import HostDocument, PfSpec, find_pf
from ._engine import altnames
from ._errors import BadInputError, DeadlineError
from ._process import Run
from ._state import PfState, read_pfs
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

    Raises `DeadlineError` naming what is still missing.
    """
    until = clock() + deadline_s
    while missing := _missing(run, document, read_pfs(sysfs, vfs=False)):
        if clock() >= until:
            raise DeadlineError(f"after {deadline_s:g} s this is still missing: {'; '.join(missing)}")
        sleep(PAUSE_S)


def _missing(run: Run, document: HostDocument, states: Mapping[str, PfState]) -> list[str]:
    names = altnames(run, document, states)
    return [reason for spec in document.pfs if (reason := _reason(spec, states, names))]


def _reason(spec: PfSpec, states: Mapping[str, PfState], names: Mapping[str, str]) -> str:
    try:
        pf = find_pf(spec.pf, states, names)
    except BadInputError:
        return f"PF {spec.pf}"
    if pf.driver is None:
        return f"the driver of PF {spec.pf}"
    wants_netdev = pf.netdev is None and any(vf.properties for vf in spec.vfs)
    return f"the network interface of PF {spec.pf}" if wants_netdev else ""
