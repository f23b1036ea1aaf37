# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of nmstate's network state (nmstate, rust/src/lib/ifaces/sriov.rs)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import cut, printable, shown

from .conversion import (
    Converter,
    Item,
    Notice,
    PfName,
    Setting,
    assemble,
    flag,
    listing,
    mac,
    mapping,
    number_of_vfs,
    pci_address,
    selector,
    vf_id,
    whole,
)
from .conversion import name as text_of
from .hosts import Part, of_host
from .mistyped import left, nested
from .nmstate_states import states


def _protocol(value: object, where: str) -> str:
    known = ("802.1q", "802.1ad")
    if str(value).lower() not in known:
        raise BadInputError(f"{where}: {shown(value)} is not one of {', '.join(known)}")
    return str(value).lower()


_VF_KEYS: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "mac-address": ("mac", mac),
    "vlan-id": ("vlan", whole),
    "qos": ("qos", whole),
    "vlan-proto": ("vlan_proto", _protocol),
    "spoof-check": ("spoofchk", flag),
    "trust": ("trust", flag),
    "min-tx-rate": ("min_tx_rate", whole),
    "max-tx-rate": ("max_tx_rate", whole),
}
_VF_NAME = re.compile(r"sriov:(.+):(\d+)", re.ASCII)
"""Name of a VF's interface by PF and VF id."""
_SRIOV_KEYS = ("total-vfs", "drivers-autoprobe", "vfs")
_NAMING = ("name", "type", "state", "identifier", "pci-address", "profile-name", "mtu", "ethernet")
_OF_VF = ("name", "type", "state", "mtu")


def from_nmstate(data: object, host: object = None, labels: object = None) -> dict[str, Any]:
    """Convert network states of a host into document and notices.

    They may be in objects of Kubernetes (NodeNetworkConfigurationPolicy, NodeNetworkState, NMStateConfig, lists of
    them) or in an agent-config; where those are of several hosts, ``host`` names the one that is meant, and ``labels``
    choose policies. Raises `BadInputError` naming the path for what nmstate does not take either, and for
    contradictions.
    """
    return assemble(_items(data, host, None if labels is None else mapping(labels, "labels")))


def _items(data: object, host: object, labels: Mapping[str, Any] | None) -> Iterator[Item]:
    found = list(states(data, labels)) or [Part("network state", {}, what="network state")]
    yield from (part for part in found if isinstance(part, Notice))
    parts = of_host([part for part in found if not isinstance(part, Notice)], host)
    for part in parts:
        yield from _state(part.data, part.what, f"{part.what}: " if len(parts) > 1 else "")


def _state(state: Mapping[str, Any], what: str, prefix: str) -> Iterator[Item]:
    """Items of one state; ``prefix`` of their paths tells several apart."""
    if "interfaces" not in state:
        raise BadInputError(
            f"{what}: the key 'interfaces' is missing; its keys are {cut(printable(', '.join(state))) or 'none'}"
        )
    yield from _stays([key for key in state if key != "interfaces"], prefix, state)
    others = []
    for index, item in enumerate(listing(state["interfaces"], "interfaces")):
        interface = mapping(item, f"interfaces[{index}]")
        name = str(interface.get("name", f"[{index}]"))
        where = f"{prefix}interfaces[{index}] ({name})"
        ethernet = mapping(interface.get("ethernet"), f"{where}.ethernet")
        vf = _VF_NAME.fullmatch(name)
        if ethernet.get("sr-iov") is not None:
            yield from _interface(interface, ethernet, where)
        elif misplaced := _misplaced(interface, ethernet):
            system, place = "nmstate", "ethernet.sr-iov of the interface"
            yield from left(misplaced, f"{where}.", ("sr-iov",), system, place)
        elif vf:
            yield from _interface_of_vf(vf.group(1), vf_id(vf.group(2), where), interface, where)
        else:
            others.append(name)
            yield from nested([(f"{where}.{key}", value) for key, value in interface.items()])
    yield from _stays(others, f"{prefix}interfaces ")


def _interface_of_vf(pf: str, ids: frozenset[int], interface: Mapping[str, Any], where: str) -> Iterator[Item]:
    """MTU of a VF by its interface, and notices of the rest."""
    if interface.get("mtu") is not None:
        yield Setting(pf, "mtu", whole(interface["mtu"], f"{where}.mtu"), f"{where}.mtu", ids)
    others = [key for key in interface if key not in _OF_VF]
    if others:
        text = f"of the interface of VF {min(ids)}; stays with nmstate"
        yield Notice(f"{where}.{', '.join(others)}", text)


def _misplaced(interface: Mapping[str, Any], ethernet: Mapping[str, Any]) -> list[str]:
    """Keys of SR-IOV one level too high, too low, or misspelt."""
    keys = [*interface, *(f"ethernet.{key}" for key in ethernet)]
    return [key for key in keys if re.search(r"sr.?iov|total.vfs|^vfs$", str(key).lower())]


def _interface(interface: Mapping[str, Any], ethernet: Mapping[str, Any], where: str) -> Iterator[Item]:
    sriov = mapping(ethernet["sr-iov"], f"{where}.ethernet.sr-iov")
    naming = (*_NAMING, *(("mac-address",) if interface.get("identifier") == "mac-address" else ()))
    others = [key for key in interface if key not in naming]
    others += [f"ethernet.{key}" for key in ethernet if key != "sr-iov"]
    misplaced = _misplaced(interface, {key: value for key, value in ethernet.items() if key != "sr-iov"})
    yield from left(misplaced, f"{where}.", ("sr-iov",), "nmstate", "ethernet.sr-iov of the interface")
    yield from _stays([key for key in others if key not in misplaced], f"{where}.", interface)
    pf = _name(interface, where)
    if interface.get("state", "up") != "up":
        yield Notice(where, f"state {interface['state']}: a document has no such state, so this PF is left out")
    elif pf is None:
        yield Notice(where, f"identifier {interface['identifier']} is not known, so this PF is left out")
    else:
        yield from _pf(pf, sriov, f"{where}.ethernet.sr-iov")
        if interface.get("mtu") is not None:
            yield Setting(pf, "mtu", whole(interface["mtu"], f"{where}.mtu"), f"{where}.mtu")


def _name(interface: Mapping[str, Any], where: str) -> PfName | None:
    """Name of a PF by the identifier, None for an unknown one.

    With a MAC address the name is that of a profile only.
    """
    identifier = interface.get("identifier", "name")
    if identifier == "pci-address":
        return pci_address(interface.get("pci-address"), f"{where}.pci-address")
    if identifier == "mac-address":
        return selector(mac=mac(interface.get("mac-address"), f"{where}.mac-address"))
    if identifier != "name":
        return None
    if interface.get("name") in (None, ""):
        raise BadInputError(f"{where}.name is missing; write the name of the interface")
    return text_of(interface["name"], f"{where}.name")


def _pf(pf: PfName, sriov: Mapping[str, Any], where: str) -> Iterator[Item]:
    _known(sriov, _SRIOV_KEYS, where)
    if sriov.get("total-vfs") is not None:
        number = number_of_vfs(sriov["total-vfs"], f"{where}.total-vfs")
        yield Setting(pf, "hardware_vfs", number, f"{where}.total-vfs")
        yield Setting(pf, "present_vfs", "all" if number else "none", f"{where}.total-vfs")
    elif sriov.get("vfs"):
        yield Notice(where, "without total-vfs, the number of VFs is left as it is found")
    if sriov.get("drivers-autoprobe") is not None:
        path = f"{where}.drivers-autoprobe"
        yield Setting(pf, "drivers_autoprobe", flag(sriov["drivers-autoprobe"], path), path)
    vfs = listing(sriov.get("vfs"), f"{where}.vfs")
    if sriov.get("vfs") == [] and sriov.get("total-vfs") != 0:
        yield Notice(f"{where}.vfs", "an empty list resets all properties; they are left as they are found")
    for index, item in enumerate(vfs):
        yield from _vf(pf, mapping(item, f"{where}.vfs[{index}]"), f"{where}.vfs[{index}]")


def _vf(pf: PfName, vf: Mapping[str, Any], where: str) -> Iterator[Item]:
    _known(vf, ("id", *_VF_KEYS), where)
    if "id" not in vf:
        raise BadInputError(f"{where}.id is missing; write the id of the VF")
    ids = vf_id(vf["id"], f"{where}.id")
    for key, (name, read) in _VF_KEYS.items():
        if vf.get(key) is not None:
            yield Setting(pf, name, read(vf[key], f"{where}.{key}"), f"{where}.{key}", ids)


def _known(data: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in keys:
            raise BadInputError(f"{where}.{key}: unknown key; known keys: {', '.join(keys)}")


def _stays(names: list[str], prefix: str, data: Mapping[str, Any] | None = None) -> Iterator[Notice]:
    """Notices of what is not of SR-IOV, and of parts that are."""
    hidden = list(nested([(f"{prefix}{name}", (data or {}).get(name)) for name in names], itself=data is not None))
    others = [name for name in names if f"{prefix}{name}" not in [notice.where for notice in hidden]]
    if others:
        yield Notice(f"{prefix}{', '.join(others)}", "not of SR-IOV; stays with nmstate")
    yield from hidden


CONVERTER = Converter("nmstate", from_nmstate, command=("nmstatectl", "show"), documents=True)
