# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of netplan's YAML.

Sources: netplan, doc/reference/netplan-yaml.md and netplan_cli/cli/sriov.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import cut, printable, shown

from . import hardware
from .conversion import Converter, Item, Notice, PfName, Setting, assemble, flag, listing, mac, mapping, selector, whole
from .mistyped import left

_COUNT, _MODE, _DELAY = "virtual-function-count", "embedded-switch-mode", "delay-virtual-functions-rebind"
_PF_KEYS = ("match", "set-name", "mtu", _COUNT, _MODE, _DELAY)
_VF_KEYS = ("match", "set-name", "mtu", "link", "macaddress")
_SRIOV_KEYS = (_COUNT, _MODE, _DELAY, "link")
_NO_ADDRESS = ("permanent", "preserve", "random", "stable", "stable-ssid")
_GLOB = re.compile(r"[*?[]")


@dataclass(frozen=True)
class _Definitions:
    """Definitions of interfaces, by id.

    ``links`` leads from VFs to PFs; ``vlans`` are hardware filters of VFs.
    """

    ethernets: Mapping[str, Mapping[str, Any]]
    links: Mapping[str, str]
    vlans: Mapping[str, Mapping[str, Any]]

    def vfs_of(self, pf: str) -> list[str]:
        return [vf for vf, link in self.links.items() if link == pf]

    def is_pf(self, name: str) -> bool:
        return name in self.links.values() or any(key in self.ethernets[name] for key in (_COUNT, _MODE, _DELAY))


def from_netplan(data: object, pfs: object = None) -> dict[str, Any]:
    """Convert netplan's YAML into document and notices.

    Files in a list are merged as netplan does it, later over earlier. ``pfs`` of `sriov_info` show which interface a
    ``match`` means, and which VF has an interface. Raises `BadInputError` naming the path for what netplan does not
    take either, and for contradictions.
    """
    network: Mapping[str, Any] = {}
    for index, item in enumerate(data if isinstance(data, (list, tuple)) else [data]):
        where = f"file {index}" if isinstance(data, (list, tuple)) else "netplan"
        network = _merged(network, _network(mapping(item, where), where))
    return assemble(_items(network, hardware.checked(pfs)))


def _network(data: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    if not data or "network" in data:
        return mapping(data.get("network"), "network")
    if "ethernets" in data:
        return data
    raise BadInputError(
        f"{where}: the key 'network' is missing; its keys are {cut(printable(', '.join(map(str, data))))}"
    )


def _merged(one: Any, other: Any) -> Any:  # noqa: ANN401 - YAML has all types
    """Merge ``other`` over ``one``.

    Mappings key by key, lists one after the other, anything else replaced.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{key: _merged(one[key], value) if key in one else value for key, value in other.items()}}
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else other


def _items(network: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Item]:
    definitions = _definitions(network)
    yield from _stays([key for key in network if key not in ("version", "renderer", "ethernets", "vlans")], "")
    vlans = mapping(network.get("vlans"), "vlans")
    yield from _stays([name for name in vlans if name != "renderer" and name not in definitions.vlans], "vlans.")
    plain = [name for name in definitions.ethernets if name not in definitions.links and not definitions.is_pf(name)]
    for name in [one for one in plain if _mistyped(definitions.ethernets[one])]:
        odd = _mistyped(definitions.ethernets[name])
        yield from left(odd, f"ethernets.{name}.", _SRIOV_KEYS, "netplan")
    yield from _stays([name for name in plain if not _mistyped(definitions.ethernets[name])], "ethernets.")
    for name in definitions.ethernets:
        if definitions.is_pf(name):
            yield from _pf(name, definitions, pfs)


def _mistyped(entry: Mapping[str, Any]) -> list[str]:
    """Mistyped keys of SR-IOV in a definition."""
    notices = left(entry, "", _SRIOV_KEYS[:-1], "netplan")
    return [notice.where for notice in notices if not notice.text.startswith("not of SR-IOV")]


def _definitions(network: Mapping[str, Any]) -> _Definitions:
    ethernets = _entries(network, "ethernets")
    links = {name: str(entry["link"]) for name, entry in ethernets.items() if entry.get("link") is not None}
    for vf, pf in links.items():
        if pf not in ethernets:
            raise BadInputError(f"ethernets.{vf}.link: {shown(pf)} is not defined in ethernets")
        if pf in links:
            raise BadInputError(f"ethernets.{vf}.link: {shown(pf)} is itself a VF, of {shown(links[pf])}; name the PF")
    vlans = {name: vlan for name, vlan in _entries(network, "vlans").items() if vlan.get("renderer") == "sriov"}
    for name, vlan in vlans.items():
        if vlan.get("link") not in links:
            raise BadInputError(f"vlans.{name}.link: {shown(vlan.get('link'))} is not a VF; renderer sriov is for VFs")
    return _Definitions(ethernets, links, vlans)


def _entries(network: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """Definitions by id, without the renderer that may stand among them."""
    found = mapping(network.get(kind), kind)
    return {str(name): mapping(entry, f"{kind}.{name}") for name, entry in found.items() if name != "renderer"}


def _pf(name: str, definitions: _Definitions, pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Item]:
    entry, where = definitions.ethernets[name], f"ethernets.{name}"
    yield from left([key for key in entry if key not in _PF_KEYS], f"{where}.", _SRIOV_KEYS, "netplan")
    pf = _named(name, entry, pfs)
    if pf is None:
        yield Notice(where, _unknown(entry, pfs))
        return
    yield from _number(pf, entry, definitions.vfs_of(name), where)
    if entry.get(_MODE) is not None:
        yield Setting(pf, "eswitch_mode", str(entry[_MODE]), f"{where}.{_MODE}")
    if flag(entry.get(_DELAY, False), f"{where}.{_DELAY}"):
        yield Notice(f"{where}.{_DELAY}", "drivers are bound as the document says, not when somebody asks for it")
    if entry.get("mtu") is not None:
        yield Setting(pf, "mtu", whole(entry["mtu"], f"{where}.mtu"), f"{where}.mtu")
    for vf in definitions.vfs_of(name):
        yield from _vf(pf, vf, definitions, pfs)


def _number(pf: PfName, entry: Mapping[str, Any], vfs: Sequence[str], where: str) -> Iterator[Item]:
    """Number of VFs, as requested or as defined.

    netplan does nothing for 0.
    """
    path = f"{where}.{_COUNT}"
    asked = None if entry.get(_COUNT) is None else whole(entry[_COUNT], path)
    if asked is not None and asked < len(vfs):
        raise BadInputError(f"{path}: {asked} is less than the {len(vfs)} VFs defined: {', '.join(vfs)}")
    if asked or vfs:
        yield Setting(pf, "hardware_vfs", asked or len(vfs), path if asked else where)
        yield Setting(pf, "present_vfs", "all", path if asked else where)
    elif asked == 0:
        yield Notice(path, "netplan does nothing for 0; the number of VFs is left as it is found")


def _vf(pf: PfName, name: str, definitions: _Definitions, pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Item]:
    entry, where = definitions.ethernets[name], f"ethernets.{name}"
    yield from left([key for key in entry if key not in _VF_KEYS], f"{where}.", _SRIOV_KEYS, "netplan")
    settings: list[tuple[str, Any, str]] = []
    if entry.get("macaddress") in _NO_ADDRESS:
        yield from _stays(["macaddress"], f"{where}.")
    elif entry.get("macaddress") is not None:
        settings.append(("mac", mac(entry["macaddress"], f"{where}.macaddress"), f"{where}.macaddress"))
    if entry.get("mtu") is not None:
        settings.append(("mtu", whole(entry["mtu"], f"{where}.mtu"), f"{where}.mtu"))
    for vlan, filtered in definitions.vlans.items():
        if filtered["link"] == name:
            settings.append(("vlan", whole(filtered.get("id"), f"vlans.{vlan}.id"), f"vlans.{vlan}.id"))
    ids = _vf_id(pf, name, entry, pfs) if isinstance(pf, str) else None
    for key, value, path in settings:
        if ids is None:
            yield Notice(path, f"{value}: which VF has the interface {name} is not known; give the host's pfs")
        else:
            yield Setting(pf, key, value, path, ids)
            if key == "mac":
                yield Notice(path, f"carried over to VF {min(ids)}, but set through the PF instead of on the VF")


def _named(name: str, entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> PfName | None:
    """Name of a PF by its interface or a selector.

    None when neither identifies one.
    """
    if entry.get("set-name"):
        return str(entry["set-name"])
    match = mapping(entry.get("match"), f"ethernets.{name}.match")
    if not match:
        return name
    pattern = str(match.get("name", "*"))
    if set(match) == {"name"} and not _GLOB.search(pattern):
        return pattern
    drivers = _drivers(match, name)
    if "macaddress" in match and not set(match) - {"macaddress", "driver", "name"}:
        return _by_mac(name, match, drivers)
    if pfs is None and len(drivers) < 2 and not any(_GLOB.search(driver) for driver in drivers) and "[" not in pattern:
        return selector(driver=drivers[0] if drivers else None, netdev=match.get("name")) or None
    found = hardware.by_patterns(pfs or (), pattern, drivers)
    return str(found[0]["netdev"]) if len(found) == 1 else None


def _by_mac(name: str, match: Mapping[str, Any], drivers: Sequence[str]) -> PfName | None:
    """Selector of a PF by its MAC address, as networkd compares it."""
    address = mac(match["macaddress"], f"ethernets.{name}.match.macaddress")
    if len(drivers) > 1 or any(_GLOB.search(driver) for driver in drivers) or "[" in str(match.get("name", "")):
        return None
    return selector(driver=drivers[0] if drivers else None, netdev=match.get("name"), mac=address)


def _drivers(match: Mapping[str, Any], name: str) -> list[str]:
    driver = match.get("driver")
    listed = [driver] if isinstance(driver, str) else listing(driver, f"ethernets.{name}.match.driver")
    return [str(one) for one in listed]


def _unknown(entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> str:
    match = entry["match"]
    text = ", ".join(f"{key} {value}" for key, value in match.items())
    if pfs is None:
        return f"which PF fits {text} is not known, so it is left out; give the host's pfs"
    return f"not exactly one PF of the host fits {text}, so it is left out"


def _vf_id(
    pf: str, name: str, entry: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None
) -> frozenset[int] | None:
    """Id of a VF by its interface.

    Or by udev's name for that: the PF's name with vN for its port.
    """
    match = mapping(entry.get("match"), f"ethernets.{name}.match")
    pattern = str(match.get("name", name if not match else ""))
    found = {
        vf_id
        for wanted in (pattern, str(entry.get("set-name", "")))
        for one, vf_id in hardware.vf_of_netdev(pfs or (), wanted)
        if pf in hardware.names_of(one)
    }
    if len(found) == 1:
        return frozenset(found)
    named = re.fullmatch(re.escape(re.sub(r"np\d+$", "", pf)) + r"v(\d+)", pattern, re.ASCII)
    return frozenset({int(named.group(1))}) if named else None


def _stays(names: Iterable[str], prefix: str) -> Iterator[Notice]:
    """One notice for all that is not of SR-IOV."""
    listed = ", ".join(map(str, names))
    if listed:
        yield Notice(f"{prefix}{listed}", "not of SR-IOV; stays with netplan")


CONVERTER = Converter("netplan", from_netplan, command=("netplan", "get"), documents=True)
