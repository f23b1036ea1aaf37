# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies merged as the sriov-network-operator does it (its api/v1/helper.go)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_ids import describe

from ..conversion import Item, Notice, PfName, Setting, pf_text

VFIO, NETDEVICE = "vfio-pci", "netdevice"

_USUAL_MTU = 1500
"""MTU that interfaces have unless somebody has set another one."""


@dataclass(frozen=True)
class Group:
    """VFs of one PF by one policy.

    ``where``: that policy.
    """

    ids: frozenset[int]
    device_type: str
    resource: str
    mtu: int
    where: str


@dataclass(frozen=True)
class Target:
    """Desired state of a PF by one or more policies.

    0 and None: not specified. ``managed``: the VFs are not made by the operator. ``nodes``: labels of its nodes as
    text, where it is not known whether this host has them.
    """

    pf: PfName
    priority: int
    number: int
    mtu: int
    eswitch_mode: str | None
    managed: bool
    groups: tuple[Group, ...]
    where: str
    notices: tuple[Notice, ...] = ()
    nodes: str = ""


def merged(targets: Iterable[Target]) -> list[Target]:
    """Merge the targets of each PF into one.

    ``targets`` come in the order in which they are applied: later ones matter more.
    """
    pfs: dict[PfName, list[Target]] = {}
    for target in targets:
        pfs.setdefault(target.pf, []).append(target)
    return [reduce(_over_or_of_others, layers) for layers in pfs.values()]


def settings(target: Target, current_mtu: int | None = None) -> Iterator[Item]:
    """Settings and notices of a PF for the document.

    ``current_mtu`` is that of the PF's interface, None where it is not known.
    """
    pf, where = target.pf, target.where
    yield from target.notices
    if target.managed:
        yield Notice(f"{where}.externallyManaged", "somebody else makes the VFs, so their number is not declared")
    else:
        yield Setting(pf, "hardware_vfs", target.number, f"{where}.numVfs")
        yield Setting(pf, "present_vfs", "all" if target.number else "none", f"{where}.numVfs")
        if any(group.device_type == NETDEVICE for group in target.groups):
            yield Setting(pf, "drivers_autoprobe", True, f"{where}.deviceType")
    if target.eswitch_mode:
        yield Setting(pf, "eswitch_mode", target.eswitch_mode, f"{where}.eSwitchMode")
    if target.mtu:
        yield from _mtu(target, current_mtu)
    for group in sorted(target.groups, key=lambda group: min(group.ids)):
        driver = "default" if group.device_type == NETDEVICE else group.device_type
        yield Setting(pf, "driver", driver, f"{group.where}.deviceType", group.ids)
        if group.mtu and group.device_type == NETDEVICE:
            yield Setting(pf, "mtu", group.mtu, f"{group.where}.mtu", group.ids)


def _mtu(target: Target, current: int | None) -> Iterator[Item]:
    """The PF's MTU, which the operator only raises (pkg/host/internal/sriov/sriov.go, configSriovPFDevice).

    A document sets it, so one that is below the current one, or may be, is left out.
    """
    mtu, path = target.mtu, f"{target.where}.mtu"
    if target.managed:
        yield Notice(path, f"{mtu} is not declared: somebody else manages the PF")
    elif current is not None and mtu < current:
        yield Notice(path, f"{mtu} is not declared: the PF has {current}, and the operator only raises an MTU")
    elif current is None and mtu <= _USUAL_MTU:
        yield Notice(path, f"{mtu} is not declared: the operator only raises an MTU, and the PF's is not known")
    else:
        yield Setting(target.pf, "mtu", mtu, path)
        if current is None:
            text = f"{mtu} is declared, but the operator only raises an MTU: take it out where a PF has a larger one"
            yield Notice(path, text)


def _over_or_of_others(lower: Target, higher: Target) -> Target:
    """`_over`; policies that clash may be for different nodes."""
    try:
        return _over(lower, higher)
    except BadInputError as error:
        if lower.nodes == higher.nodes:
            raise
        mine, other = lower.nodes or "any labels", higher.nodes or "any labels"
        raise BadInputError(
            f"{error}; their nodeSelector differs ({mine}; {other}), so they may be for different nodes: give the "
            "labels of this one (labels of the filter, convert_labels of the playbook)"
        ) from error


def _over(lower: Target, higher: Target) -> Target:
    """Merge ``higher`` over ``lower``.

    Of ``lower`` it keeps groups of other VFs and, with those, the larger number and MTU.
    """
    pf, equal = pf_text(higher.pf), lower.priority == higher.priority
    if equal:
        _refuse_contradiction(lower, higher)
    if lower.managed != higher.managed:
        raise BadInputError(f"{higher.where}.externallyManaged: {lower.where} says otherwise for PF {pf}")
    notices: list[Notice] = []
    kept = []
    for group in lower.groups:
        notice = _loss(group, higher)
        if notice is None:
            kept.append(group)
        else:
            notices.append(notice)
    share = equal or bool(kept)
    number = max(lower.number, higher.number) if share else higher.number
    mtu = max(lower.mtu, higher.mtu) if share else higher.mtu
    for one, winner in ((lower, higher), (higher, lower)):
        if one.number != number:
            notices.append(Notice(f"{one.where}.numVfs", f"{one.number} gives way to {number} of {winner.where}"))
        if one.mtu and one.mtu != mtu:
            notices.append(Notice(f"{one.where}.mtu", f"{one.mtu} gives way to {mtu or 'none'} of {winner.where}"))
    if lower.eswitch_mode and lower.eswitch_mode != higher.eswitch_mode:
        other = higher.eswitch_mode or "none"
        text = f"{lower.eswitch_mode} gives way to {other} of {higher.where}"
        notices.append(Notice(f"{lower.where}.eSwitchMode", text))
    return replace(
        higher,
        number=number,
        mtu=mtu,
        groups=(*higher.groups, *kept),
        notices=(*lower.notices, *notices, *higher.notices),
    )


def _refuse_contradiction(one: Target, other: Target) -> None:
    """Refuse contradictions between policies of equal priority.

    The operator takes the policy whose name comes last; nobody means that.
    """
    pf = pf_text(other.pf)
    both = frozenset().union(*(group.ids for group in one.groups)) & frozenset().union(*(g.ids for g in other.groups))
    if both:
        raise BadInputError(
            f"{other.where}.nicSelector: VFs {describe(both)} of PF {pf} are those of {one.where} as well, "
            "which has the same priority"
        )
    if one.eswitch_mode and other.eswitch_mode and one.eswitch_mode != other.eswitch_mode:
        raise BadInputError(
            f"{other.where}.eSwitchMode: {other.eswitch_mode} for PF {pf}, but {one.where} has "
            f"{one.eswitch_mode} and the same priority"
        )


def _loss(group: Group, higher: Target) -> Notice | None:
    """Notice of a group of lesser priority that the operator drops.

    ``higher`` is one policy and has one group.
    """
    pf = pf_text(higher.pf)
    for other in higher.groups:
        if group.ids & other.ids:
            return Notice(group.where, f"VFs {describe(group.ids)} of PF {pf} give way to {other.where}")
        if group.resource and group.resource == other.resource:
            text = f"VFs {describe(group.ids)} of PF {pf} are dropped: {other.where} has the same resourceName"
            return Notice(group.where, text)
    return None
