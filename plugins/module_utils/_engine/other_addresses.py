# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of PFs beside those that a document declares."""

from __future__ import annotations

from collections.abc import Iterator

from .._model.errors import BadInputError
from .._model.properties import ADDRESSES, NO_GUID, NO_MAC
from .._plan.plan import HostPlan
from .._readers.pfs import pf_addresses, read_known
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import ip


def refuse_used(sysfs: Sysfs, run: Run, plan: HostPlan) -> None:
    """Raise `BadInputError` for addresses to be set that others have.

    Of the PFs of one document `addresses_once` sees to that. Reads nothing where no address is to be set.
    """
    wanted = dict(_wanted(plan))
    if not wanted:
        return
    mistakes = [
        f"{name} {address} would be that of {wanted[name, address]} and is that of {holder}; give one of them another"
        for name, address, holder in _others(sysfs, run, {one.current.address for one in plan.plans})
        if (name, address) in wanted
    ]
    if mistakes:
        raise BadInputError(*mistakes)


def _wanted(plan: HostPlan) -> Iterator[tuple[tuple[str, str], str]]:
    """Addresses that the plan sets, with who gets them."""
    for one in plan.plans:
        known = {} if one.goal.disruption.disables_all else one.current.properties
        for vf_id, given in one.goal.target.properties.items() if one.steps else ():
            for name in ADDRESSES:
                address = getattr(given, name)
                if address not in (None, NO_MAC, NO_GUID, getattr(known.get(vf_id), name, None)):
                    yield (name, address), f"VF {vf_id} of PF {one.current.address}"


def _others(sysfs: Sysfs, run: Run, mine: set[str]) -> Iterator[tuple[str, str, str]]:
    """Kind, address and holder, of all other PFs that can be read."""
    if mine.issuperset(pf_addresses(sysfs)):
        return
    pfs = [
        pf
        for address, pf in read_known(sysfs).items()
        if address not in mine and pf.netdev and pf.blocked is None and pf.unreadable is None
    ]
    links = ip.read_links(run, {pf.netdev for pf in pfs if pf.netdev}) if pfs else {}
    for pf in pfs:
        if pf.netdev in links:
            link, vfs = links[pf.netdev]
            yield "mac", link.permanent or "", f"PF {pf.address} itself"
            for vf_id, given in vfs.items():
                for name in ADDRESSES if vf_id < pf.enabled else ():
                    yield name, getattr(given, name) or "", f"VF {vf_id} of PF {pf.address}"
