# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converter of netplan's YAML.

Sources: netplan, doc/reference/netplan-yaml.md and netplan_cli/cli/sriov.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import cut, printable, shown

from . import hardware
from .conversion import (
    Converter,
    Item,
    Notice,
    PfName,
    Setting,
    assemble,
    flag,
    mac,
    mapping,
    number_of_vfs,
    whole,
)
from .conversion import name as text
from .mistyped import left, nested
from .netplan_names import named, unknown, vf_id

_COUNT, _MODE, _DELAY = "virtual-function-count", "embedded-switch-mode", "delay-virtual-functions-rebind"
_PF_KEYS = ("match", "set-name", "mtu", _COUNT, _MODE, _DELAY)
_VF_KEYS = ("match", "set-name", "mtu", "link", "macaddress")
_SRIOV_KEYS = (_COUNT, _MODE, _DELAY, "link")
_NO_ADDRESS = ("permanent", "preserve", "random", "stable", "stable-ssid")


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
        """Whether a definition, which has no link, is of a PF."""
        found = any(key in self.ethernets[name] for key in (_COUNT, _MODE, _DELAY))
        return name in self.links.values() or (found and name not in self.links)


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

    Mappings key by key, lists one after the other, anything else replaced. Nothing at all takes nothing away.
    """
    if isinstance(one, Mapping) and other is None:
        return one
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{key: _merged(one[key], value) if key in one else value for key, value in other.items()}}
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else other


def _items(network: Mapping[str, Any], pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Item]:
    definitions = _definitions(network)
    _check_ids(network, definitions)
    yield from _renderers(network)
    yield from _stays(network, [key for key in network if key not in ("version", "renderer", "ethernets", "vlans")], "")
    vlans = mapping(network.get("vlans"), "vlans")
    yield from _stays(vlans, [name for name in vlans if name not in ("renderer", *definitions.vlans)], "vlans.")
    plain = [name for name in definitions.ethernets if name not in definitions.links and not definitions.is_pf(name)]
    for name in [one for one in plain if _mistyped(definitions.ethernets[one])]:
        odd = _mistyped(definitions.ethernets[name])
        yield from left(odd, f"ethernets.{name}.", _SRIOV_KEYS, "netplan")
    rest = [name for name in plain if not _mistyped(definitions.ethernets[name])]
    yield from _stays(definitions.ethernets, rest, "ethernets.")
    for name in definitions.ethernets:
        if definitions.is_pf(name):
            yield from _pf(name, definitions, pfs)


def _renderers(network: Mapping[str, Any]) -> Iterator[Notice]:
    """Notices of the renderer sriov at another place than VLANs."""
    for kind in ("", "ethernets", "vlans"):
        found = mapping(network.get(kind), kind) if kind else network
        if found.get("renderer") == "sriov":
            where = f"{kind}.renderer" if kind else "renderer"
            yield Notice(where, "of SR-IOV, but ignored: netplan takes it for each VLAN of a VF alone")


def _mistyped(entry: Mapping[str, Any]) -> list[str]:
    """Mistyped keys of SR-IOV in a definition."""
    notices = left(entry, "", _SRIOV_KEYS[:-1], "netplan")
    return [notice.where for notice in notices if not notice.text.startswith("not of SR-IOV")]


def _definitions(network: Mapping[str, Any]) -> _Definitions:
    ethernets = _entries(network, "ethernets")
    links = {
        name: text(entry["link"], f"ethernets.{name}.link")
        for name, entry in ethernets.items()
        if entry.get("link") is not None
    }
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


def _check_ids(network: Mapping[str, Any], definitions: _Definitions) -> None:
    """Raise `BadInputError` for ids of PFs and VFs that are no texts."""
    for one in network.get("ethernets") or ():
        known = "" if isinstance(one, str) else next(iter(mapping({one: None}, "")))
        if known and (definitions.is_pf(known) or known in definitions.links):
            text(one, "ethernets")


def _pf(name: str, definitions: _Definitions, pfs: Sequence[Mapping[str, Any]] | None) -> Iterator[Item]:
    entry, where = definitions.ethernets[name], f"ethernets.{name}"
    yield from left([key for key in entry if key not in _PF_KEYS], f"{where}.", _SRIOV_KEYS, "netplan")
    yield from nested([(f"{where}.{key}", value) for key, value in entry.items()])
    for key in (key for key in (_COUNT, _MODE, _DELAY) if key in entry and entry[key] is None):
        yield Notice(f"{where}.{key}", "without a value, so it is left as it is found")
    pf = named(name, entry, pfs)
    if pf is None:
        yield Notice(where, unknown(entry, pfs))
        return
    yield from _number(pf, entry, definitions.vfs_of(name), where)
    if entry.get(_MODE) is not None:
        yield Setting(pf, "eswitch_mode", entry[_MODE], f"{where}.{_MODE}")
    if flag(entry.get(_DELAY) or False, f"{where}.{_DELAY}"):
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
    asked = None if entry.get(_COUNT) is None else number_of_vfs(entry[_COUNT], path)
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
    yield from nested([(f"{where}.{key}", value) for key, value in entry.items()])
    settings: list[tuple[str, Any, str]] = []
    if entry.get("macaddress") in _NO_ADDRESS:
        yield from _stays({}, ["macaddress"], f"{where}.")
    elif entry.get("macaddress") is not None:
        settings.append(("mac", mac(entry["macaddress"], f"{where}.macaddress"), f"{where}.macaddress"))
    if entry.get("mtu") is not None:
        settings.append(("mtu", whole(entry["mtu"], f"{where}.mtu"), f"{where}.mtu"))
    for vlan, filtered in definitions.vlans.items():
        if filtered["link"] == name:
            others = [key for key in filtered if key not in ("id", "link", "renderer")]
            yield from _stays(filtered, others, f"vlans.{vlan}.")
            settings.append(("vlan", whole(filtered.get("id"), f"vlans.{vlan}.id"), f"vlans.{vlan}.id"))
    vf = vf_id(pf, name, entry, pfs)
    for key, value, path in settings:
        if vf is None:
            yield Notice(path, f"{value}: which VF has the interface {name} is not known; give the host's pfs")
        else:
            yield Setting(pf, key, value, path, frozenset({vf}))
            if key == "mac":
                yield Notice(path, f"carried over to VF {vf}, but set through the PF instead of on the VF")


def _stays(data: Mapping[str, Any], names: Sequence[str], prefix: str) -> Iterator[Notice]:
    """Notices of what is not of SR-IOV, and of parts that are."""
    hidden = list(nested([(f"{prefix}{name}", data.get(name)) for name in names], itself=not prefix))
    listed = ", ".join(name for name in names if f"{prefix}{name}" not in [notice.where for notice in hidden])
    if listed:
        yield Notice(f"{prefix}{listed}", "not of SR-IOV; stays with netplan")
    yield from hidden


CONVERTER = Converter("netplan", from_netplan, command=("netplan", "get"), documents=True)
