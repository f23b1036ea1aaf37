# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compliance check: reads little of a PF, more where it falls short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .._document.document import HostDocument, PfSpec
from .._model.state import PfState
from .._plan.derive import goal_of
from .._plan.goal import Goal
from .._plan.shortfall import shortfall
from .._readers.pfs import BoundDevices, read_bindings, read_vfs
from .._system.process import Run
from .._system.sysfs import Sysfs

if TYPE_CHECKING:
    from .._tools.ip import Reading


def check(
    sysfs: Sysfs, run: Run, states: Mapping[str, PfState], document: HostDocument, *, details: bool
) -> tuple[dict[str, PfState], dict[str, Goal]]:
    """Compare PFs with the document.

    Returns ``states``, read without details, with what the comparison has read, and the goals of PFs that comply. Of
    VFs bound as declared, it reads address and driver only. With ``details``, other PFs are read by
    `reading.for_planning`.
    """
    specs = {str(spec.pf): spec for spec in document.pfs}
    links = _links(run, states, specs) if len(specs) > 1 else {}
    read, reached, bound = dict(states), {}, BoundDevices(sysfs)
    for address, spec in specs.items():
        goal = None
        if not states[address].unfinished:
            read[address], goal = _checked(run, states[address], spec, bound, links)
            if not shortfall(goal, read[address]):
                reached[address] = goal
                continue
        if details:
            from . import reading

            read[address] = reading.for_planning(sysfs, run, states[address], spec, goal, links)
    return read, reached


def _links(run: Run, states: Mapping[str, PfState], specs: Mapping[str, PfSpec]) -> Mapping[str, Reading]:
    """Read interfaces of PFs with VF properties by one start of ``ip``."""
    pfs = [states[address] for address, spec in specs.items() if any(vf.properties for vf in spec.vfs)]
    if len(pfs) < 2:
        return {}
    from . import reading

    return reading.links_at_once(run, pfs)


def _checked(
    run: Run, pf: PfState, spec: PfSpec, bound: BoundDevices, links: Mapping[str, Reading]
) -> tuple[PfState, Goal]:
    """The PF with the details that decide its compliance, and its goal."""
    if not (spec.vfs or spec.settings):
        return pf, goal_of(pf, spec)
    if spec.settings:
        from .._readers import details

        pf = details.read_settings(bound.sysfs, run, pf, spec.settings)
    goal = goal_of(pf, spec)
    if goal.target.devices:
        from .._readers import details

        pf = read_vfs(bound.sysfs, pf, frozenset(goal.target.devices) & pf.present)
        pf = details.read_devices(
            bound.sysfs, pf, {vf_id: device.to_dict() for vf_id, device in goal.target.devices.items()}
        )
    bare = pf.present - set(pf.vfs)
    if drivers := {vf_id: driver for vf_id, driver in goal.target.drivers.items() if vf_id in bare}:
        pf = pf._replace(vfs={**pf.vfs, **read_bindings(bound, pf, drivers)})
    if goal.target.properties:
        from .._model.addresses import HASH
        from . import reading

        pf = reading.with_properties(run, pf, links)
        if any(HASH in wanted for wanted in goal.target.properties.values()):
            goal = goal_of(pf, spec)  # with addresses that are derived from the PF's own
    return pf, goal
