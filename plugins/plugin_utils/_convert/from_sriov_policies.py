# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of the sriov-network-operator's objects (its api/v1, pkg/webhook/validate.go)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable, shown

from . import hardware
from .conversion import (
    Converter,
    Item,
    Notice,
    PfName,
    assemble,
    flag,
    listing,
    mapping,
    number_of_vfs,
    pci_address,
    whole,
)
from .hosts import Part, is_for, objects, of_host
from .sriov_policies.keys import left, other_kind, typed
from .sriov_policies.merge import NETDEVICE, VFIO, Group, Target, merged, settings
from .sriov_policies.selector import read_selector

_Pfs = Sequence[Mapping[str, Any]]
_Labels = Mapping[str, Any]
_Spec = Mapping[str, Any]

_CONTRADICTIONS: tuple[tuple[str, Callable[[_Spec], object], str], ...] = (
    ("isRdma", lambda spec: spec.get("isRdma") and spec.get("deviceType") == VFIO, "vfio-pci has no RDMA"),
    ("eSwitchMode", lambda spec: _switchdev(spec) and _infiniband(spec), "switchdev is not for linkType ib"),
    ("vdpaType", lambda spec: spec.get("vdpaType") and spec.get("deviceType") == VFIO, "it needs netdevice"),
    ("vdpaType", lambda spec: spec.get("vdpaType") and not _switchdev(spec), "it needs eSwitchMode switchdev"),
    ("bridge", lambda spec: spec.get("bridge") and not _switchdev(spec), "it needs eSwitchMode switchdev"),
    ("bridge", lambda spec: spec.get("bridge") and spec.get("externallyManaged"), "it needs VFs made by the operator"),
)
"""Contradictions that the operator's webhook refuses: key, condition, reason."""


def from_sriov_policies(data: object, pfs: object = None, labels: object = None, host: object = None) -> dict[str, Any]:
    """Convert the operator's objects, for one host, into document and notices.

    ``data`` is what ``kubectl get -o yaml`` prints: one object, a list, or lists. SriovNetworkNodePolicy objects are
    merged as the operator merges them; a SriovNetworkNodeState is one host's own, merged by the operator, that of
    ``host`` where there are several. ``pfs`` of
    `sriov_info` show which PFs a selector means; with the node's ``labels`` only policies for it count. Raises
    `BadInputError` naming policy and path for what the operator refuses.
    """
    known = hardware.checked(pfs)
    return assemble(_items(list(objects(data)), known, None if labels is None else mapping(labels, "labels"), host))


def _items(
    objects: Sequence[Mapping[str, Any]], pfs: _Pfs | None, labels: _Labels | None, host: object
) -> Iterator[Item]:
    kinds: dict[str, list[Mapping[str, Any]]] = {"SriovNetworkNodePolicy": [], "SriovNetworkNodeState": []}
    for one in objects:
        kinds.setdefault(str(one.get("kind", "SriovNetworkNodePolicy")), []).append(one)
    policies, states = kinds.pop("SriovNetworkNodePolicy"), kinds.pop("SriovNetworkNodeState")
    if states and policies:
        raise BadInputError("a SriovNetworkNodeState is all there is to know of a host: give these without policies")
    states = [dict(part.data) for part in of_host([Part(_name(one), one, _name(one)) for one in states], host)]
    for kind, others in kinds.items():
        yield other_kind(kind, [_name(one) for one in others])
    found = [item for state in states for item in _state(state)]
    for policy in sorted(policies, key=lambda one: (-_priority(one), _name(one))):
        found += _policy(policy, pfs, labels)
    yield from (item for item in found if isinstance(item, Notice))
    for target in merged(item for item in found if isinstance(item, Target)):
        yield from settings(target, _current_mtu(target.pf, pfs, states))


def _current_mtu(name: PfName, pfs: _Pfs | None, states: Sequence[Mapping[str, Any]]) -> int | None:
    """MTU of the PF's interface, by the host or the operator's status."""
    shown = [
        (interface.get("pciAddress"), interface.get("name"), interface.get("mtu"))
        for state in states
        for interface in listing(mapping(state.get("status"), "status").get("interfaces"), "status.interfaces")
        if isinstance(interface, Mapping)
    ]
    known = [(pf["pf"], one, pf.get("mtu")) for pf in pfs or () for one in (hardware.names_of(pf) or {""})]
    found = [mtu for address, netdev, mtu in (*known, *shown) if name in (address, netdev)]
    return next((mtu for mtu in found if isinstance(mtu, int)), None)


def _name(policy: Mapping[str, Any]) -> str:
    return printable(str(mapping(policy.get("metadata"), "metadata").get("name", "without name")))


def _spec(policy: Mapping[str, Any]) -> tuple[_Spec, str]:
    where = f"policy {_name(policy)}: spec"
    if "spec" not in policy:
        raise BadInputError(f"{where} is missing; give objects as kubectl get -o yaml prints them")
    return typed(mapping(policy["spec"], where), where), where


def _priority(policy: Mapping[str, Any]) -> int:
    """Priority of a policy; a lower number matters more.

    Such a policy is applied later.
    """
    spec, where = _spec(policy)
    return whole(spec.get("priority", 0), f"{where}.priority")


def _policy(policy: Mapping[str, Any], pfs: _Pfs | None, labels: _Labels | None) -> Iterator[Target | Notice]:
    spec, where = _spec(policy)
    selector = mapping(spec.get("nodeSelector"), f"{where}.nodeSelector")
    if labels is not None and not is_for(selector, labels):
        yield Notice(f"{where}.nodeSelector", "not for a host with these labels")
        return
    if labels is None and selector:
        yield Notice(f"{where}.nodeSelector", "not looked at; give the node's labels, or choose hosts by inventory")
    number = number_of_vfs(spec.get("numVfs") or 0, f"{where}.numVfs")
    if not number or _name(policy) == "default":
        yield Notice(where, "without VFs, or with the name default, a policy has no effect")
        return
    for key, is_so, why in _CONTRADICTIONS:
        if is_so(spec):
            raise BadInputError(f"{where}.{key}: {shown(spec[key])} contradicts the rest: {why}")
    yield from left(spec, where)
    chosen = read_selector(spec.get("nicSelector"), number, f"{where}.nicSelector")
    if spec["nicSelector"].get("netFilter"):
        yield Notice(f"{where}.nicSelector.netFilter", "it is for VFs that a cloud gives to a VM; none are made there")
        return
    for item in chosen.chosen(pfs):
        if isinstance(item, Notice):
            yield item
        else:
            target = _target(item[0], spec, (_group(spec, item[1], where),), where, _priority(policy))
            yield replace(
                target, nodes="" if labels is not None else ", ".join(f"{k}={v}" for k, v in selector.items())
            )


def _switchdev(spec: _Spec) -> bool:
    return spec.get("eSwitchMode") == "switchdev"


def _infiniband(spec: _Spec) -> bool:
    return str(spec.get("linkType", "")).lower() == "ib"


def _state(state: Mapping[str, Any]) -> Iterator[Target | Notice]:
    """PFs of a node's state, with groups of VFs.

    The operator has merged its policies into it.
    """
    spec = mapping(state.get("spec"), "spec")
    others = [key for key in spec if key != "interfaces" and spec[key]]
    if others:
        yield Notice(f"node {_name(state)}: spec.{', '.join(others)}", "not carried over")
    if not spec.get("interfaces") and mapping(state.get("status"), "status").get("interfaces"):
        yield Notice(f"node {_name(state)}: status.interfaces", "what the node has, which nothing of spec asks for")
    for index, item in enumerate(listing(spec.get("interfaces"), "spec.interfaces")):
        where = f"node {_name(state)}: spec.interfaces[{index}]"
        interface = typed(mapping(item, where), where)
        pf = pci_address(interface.get("pciAddress"), f"{where}.pciAddress")
        number = number_of_vfs(interface.get("numVfs", 0), f"{where}.numVfs")
        yield from left(interface, where)
        groups = []
        for place, group in enumerate(listing(interface.get("vfGroups"), f"{where}.vfGroups")):
            path = f"{where}.vfGroups[{place}]"
            vfs = typed(mapping(group, path), path)
            yield from left(vfs, path)
            if "vfRange" not in vfs:
                raise BadInputError(f"{path}.vfRange is missing; write the VFs of the group, as '0-3'")
            ids = vf_ids.parse(str(vfs["vfRange"]), number, f"{path}.vfRange")
            if ids:
                groups.append(_group(vfs, ids, path))
            else:
                yield Notice(f"{path}.vfRange", "no VFs, so the group has no effect")
        yield _target(pf, {**interface, "numVfs": number}, tuple(groups), where, 0)


def _group(spec: _Spec, ids: frozenset[int], where: str) -> Group:
    device_type = spec.get("deviceType") or NETDEVICE
    if device_type not in (NETDEVICE, VFIO):
        raise BadInputError(f"{where}.deviceType: {shown(device_type)} is not one of {NETDEVICE}, {VFIO}")
    return Group(
        ids, device_type, str(spec.get("resourceName") or ""), whole(spec.get("mtu") or 0, f"{where}.mtu"), where
    )


def _target(pf: PfName, spec: _Spec, groups: tuple[Group, ...], where: str, priority: int) -> Target:
    mode = spec.get("eSwitchMode") or None
    if mode not in (None, "legacy", "switchdev"):
        raise BadInputError(f"{where}.eSwitchMode: {shown(mode)} is not one of legacy, switchdev")
    return Target(
        pf=pf,
        priority=priority,
        number=number_of_vfs(spec["numVfs"], f"{where}.numVfs"),
        mtu=whole(spec.get("mtu") or 0, f"{where}.mtu"),
        eswitch_mode=mode,
        managed=flag(spec.get("externallyManaged") or False, f"{where}.externallyManaged"),
        groups=groups,
        where=where,
    )


CONVERTER = Converter("sriov_policies", from_sriov_policies, documents=True)
