# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of nmstate's network state (nmstate, rust/src/lib/ifaces/sriov.rs)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

from .conversion import (
    Converter,
    Item,
    Notice,
    Setting,
    assemble,
    flag,
    listing,
    mac,
    mapping,
    pci_address,
    vf_id,
    whole,
)


def _protocol(value: object, where: str) -> str:
    known = ("802.1q", "802.1ad")
    if str(value).lower() not in known:
        raise BadInputError(f"{where}: {value!r} is not one of {', '.join(known)}")
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


def from_nmstate(data: object) -> dict[str, Any]:
    """Convert a network state into document and notices.

    The state may be in a NodeNetworkConfigurationPolicy of Kubernetes. Raises `BadInputError` naming the path for what
    nmstate does not take either, and for contradictions.
    """
    return assemble(_state(data))


def _state(data: object) -> Iterator[Item]:
    state = mapping(data, "network state")
    if "spec" in state:
        yield from _stays([key for key in mapping(state["spec"], "spec") if key != "desiredState"], "spec.")
        state = mapping(mapping(state["spec"], "spec").get("desiredState"), "spec.desiredState")
    if "interfaces" not in state:
        raise BadInputError(
            f"network state: the key 'interfaces' is missing; its keys are {', '.join(state) or 'none'}"
        )
    yield from _stays([key for key in state if key != "interfaces"], "")
    others = []
    for index, item in enumerate(listing(state["interfaces"], "interfaces")):
        interface = mapping(item, f"interfaces[{index}]")
        name = str(interface.get("name", f"[{index}]"))
        where = f"interfaces[{index}] ({name})"
        ethernet = mapping(interface.get("ethernet"), f"{where}.ethernet")
        vf = _VF_NAME.fullmatch(name)
        if ethernet.get("sr-iov") is not None:
            yield from _interface(interface, ethernet, where)
        elif vf and interface.get("mtu") is not None:
            value = whole(interface["mtu"], f"{where}.mtu")
            yield Setting(vf.group(1), "mtu", value, f"{where}.mtu", vf_id(vf.group(2), where))
            yield from _stays([key for key in interface if key not in _OF_VF], f"{where}.")
        else:
            others.append(name)
    yield from _stays(others, "interfaces ")


def _interface(interface: Mapping[str, Any], ethernet: Mapping[str, Any], where: str) -> Iterator[Item]:
    sriov = mapping(ethernet["sr-iov"], f"{where}.ethernet.sr-iov")
    others = [key for key in interface if key not in _NAMING]
    yield from _stays([*others, *(f"ethernet.{key}" for key in ethernet if key != "sr-iov")], f"{where}.")
    pf = _name(interface, where)
    if interface.get("state", "up") != "up":
        yield Notice(where, f"state {interface['state']}: a document has no such state, so this PF is left out")
    elif pf is None:
        yield Notice(where, "a document cannot name a PF by its MAC address, so this PF is left out")
    else:
        yield from _pf(pf, sriov, f"{where}.ethernet.sr-iov")
        if interface.get("mtu") is not None:
            yield Setting(pf, "mtu", whole(interface["mtu"], f"{where}.mtu"), f"{where}.mtu")


def _name(interface: Mapping[str, Any], where: str) -> str | None:
    """Name of a PF by the interface's identifier.

    None for a MAC address: the name is then that of a profile only.
    """
    identifier = interface.get("identifier", "name")
    if identifier == "pci-address":
        return pci_address(interface.get("pci-address"), f"{where}.pci-address")
    if identifier != "name":
        return None
    if not interface.get("name"):
        raise BadInputError(f"{where}.name is missing; write the name of the interface")
    return str(interface["name"])


def _pf(pf: str, sriov: Mapping[str, Any], where: str) -> Iterator[Item]:
    _known(sriov, _SRIOV_KEYS, where)
    if sriov.get("total-vfs") is not None:
        number = whole(sriov["total-vfs"], f"{where}.total-vfs")
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


def _vf(pf: str, vf: Mapping[str, Any], where: str) -> Iterator[Item]:
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


def _stays(names: list[str], prefix: str) -> Iterator[Notice]:
    """One notice for all that is not of SR-IOV."""
    if names:
        yield Notice(f"{prefix}{', '.join(names)}", "not of SR-IOV; stays with nmstate")


CONVERTER = Converter("nmstate", from_nmstate, command=("nmstatectl", "show"))
