# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of a host document that hold on every host.

The document is planned for the host that suits it best: each PF has the VFs that are declared, and reports all that
can be. What is refused there, by the same code as on a real host, no host can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._document.document import AtMost, HostDocument, PfSpec
from .._document.id_sets import Ids
from .._document.resolve import resolve
from .._document.selector import Selector
from .._document.shape import ADDRESS, Mistakes
from .._model.link import ETHER, INFINIBAND, Link
from .._model.properties import NO_GUID, NO_MAC, VfProperties
from .._model.property_table import BY_NAME
from .._model.state import PfState, VfState
from .._model.vf_device import VfDevice
from .._model.vf_ids import MAX_VFS
from .addresses_once import refuse_shared
from .derive import goal_of
from .goal import Goal
from .names_once import refuse_shared_names
from .unsupported import refuse_unsupported

_REPORTED = VfProperties(NO_MAC, 0, 0, "802.1q", 0, 0, False, False, False, "auto", NO_GUID, NO_GUID)
"""What a driver reports that knows all properties."""
_BOUND = VfState("0000:00:00.0", driver="any driver")
_DEVICE = VfDevice(mtu=1, name="")
_OWN = "01:00:00:00:{:02x}:{:02x}"
"""Addresses of PFs, multicast: no VF can have such a one."""


def refuse(document: HostDocument) -> None:
    """Raise `BadInputError` with all that no host can have.

    Of a document that is valid by itself (`document.validate`).
    """
    mistakes = Mistakes()
    planned: dict[str, tuple[PfState, Goal]] = {}
    for number, spec in enumerate(document.pfs):
        name = _name(spec)
        if name in planned:
            mistakes.add(f"PF {name} is declared twice; keep one of them")
            continue
        with mistakes:
            planned[name] = _planned(spec._replace(pf=name), _suiting(spec, name, number), mistakes)
    for check in (refuse_shared, refuse_shared_names):
        with mistakes:
            check(planned.values())
    mistakes.raise_found()


def _name(spec: PfSpec) -> str:
    """The PF's name, the same for each way to write its address."""
    name = str(spec.pf)
    if not re.fullmatch(ADDRESS, name, re.ASCII):
        return name
    return name.lower() if name.count(":") > 1 else f"0000:{name.lower()}"


def _suiting(spec: PfSpec, name: str, number: int) -> PfState:
    """A PF that suits its spec; ``number`` is its place."""
    enabled, settings = _enabled(spec), spec.settings
    wanted = dict(spec.pf.wanted) if isinstance(spec.pf, Selector) else {}
    guids = any(vf.properties.node_guid or vf.properties.port_guid for vf in spec.vfs)
    ids = range(enabled)
    return PfState(
        name, max(enabled, MAX_VFS if isinstance(spec.hardware_vfs, int) else 0), enabled, frozenset(ids),
        driver=str(wanted["driver"]) if "driver" in wanted else None, netdev=name, interface="vf-id",
        autoprobe=spec.drivers_autoprobe is not False, settings=settings, netdevs=(name,),
        vfs=dict.fromkeys(ids, _BOUND), devices=dict.fromkeys(ids, _DEVICE), properties=dict.fromkeys(ids, _REPORTED),
        total_msix=MAX_VFS * MAX_VFS, link=Link(INFINIBAND if guids else ETHER, _OWN.format(number >> 8, number & 255)),
    )  # fmt: skip


def _enabled(spec: PfSpec) -> int:
    """The number of VFs, or the lowest with all declared ids.

    Where ids are `all` of a number that is the host's, they stand for one at least.
    """
    if isinstance(spec.hardware_vfs, int):
        return spec.hardware_vfs
    named = (_highest(ids) for ids in (spec.present_vfs, *(vf.ids for vf in spec.vfs)))
    lowest = max((0, *named)) + 1
    return min(spec.hardware_vfs.at_most, lowest) if isinstance(spec.hardware_vfs, AtMost) else lowest


def _highest(ids: Ids | None) -> int:
    return max(ids, default=0) if isinstance(ids, frozenset) else 0


def _planned(spec: PfSpec, suiting: PfState, mistakes: Mistakes) -> tuple[PfState, Goal]:
    """The PF with its VFs present as declared, and its goal.

    Raises `BadInputError` for ids that no such PF has; what its device cannot have is among the ``mistakes``.
    """
    two_links = list(_of_two_links(spec))
    mistakes.add(*two_links)
    (resolved,) = resolve(HostDocument((spec,)), {suiting.address: suiting}).pfs
    present = suiting.present if resolved.present_vfs is None else frozenset(map(int, resolved.present_vfs))
    current = suiting._replace(
        present=present, vfs=dict.fromkeys(present, _BOUND), devices=dict.fromkeys(present, _DEVICE)
    )
    goal = goal_of(current, resolved)
    with mistakes:
        if not two_links:
            refuse_unsupported(current, goal)
    return current, goal


def _of_two_links(spec: PfSpec) -> Iterator[str]:
    """Properties of Ethernet beside those of InfiniBand."""
    names = sorted({name for vf in spec.vfs for name in vf.properties.to_dict()})
    ethernet, infiniband = ([name for name in names if BY_NAME[name].links == (kind,)] for kind in (ETHER, INFINIBAND))
    if ethernet and infiniband:
        yield (
            f"PF {spec.pf}: only PFs with Ethernet have {', '.join(ethernet)}, only those with InfiniBand "
            f"{', '.join(infiniband)}; leave one of them out"
        )
