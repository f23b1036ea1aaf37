# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host document: what SR-IOV state a host should have; one schema for module arguments, role variables and file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union, cast

from . import _properties, _vfids
from ._errors import BadInputError
from ._properties import VfProperties
from ._state import PfState

ALL = "all"
DEFAULT_DRIVER = "default"
"""As a VF's driver: no driver_override, so that the kernel chooses."""

Ids = Union["frozenset[int]", str]
"""A set of ids, or `ALL` until `resolve` knows how many VFs are enabled."""

_HOST_KEYS = ("pfs",)
_PF_KEYS = ("pf", "hardware_vfs", "present_vfs", "drivers_autoprobe", "vfs")
_VF_KEYS = ("ids", "driver", *_properties.NAMES)


@dataclass(frozen=True)
class VfSpec:
    """A wish for the VFs ``ids``: their driver where they are present, their properties where they are enabled."""

    ids: Ids
    driver: str | None = None
    properties: VfProperties = field(default_factory=VfProperties)

    def to_dict(self) -> dict[str, Any]:
        driver = {} if self.driver is None else {"driver": self.driver}
        return {"ids": _ids_text(self.ids), **driver, **self.properties.to_dict()}


@dataclass(frozen=True)
class PfSpec:
    """A wish for one PF, named by address or network interface; None means "leave as found"."""

    pf: str
    hardware_vfs: int | str | None = None
    present_vfs: Ids | None = None
    drivers_autoprobe: bool | None = None
    vfs: tuple[VfSpec, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As in the document, without what is left as found."""
        present = None if self.present_vfs is None else _ids_text(self.present_vfs)
        wishes = {
            "hardware_vfs": self.hardware_vfs,
            "present_vfs": present,
            "drivers_autoprobe": self.drivers_autoprobe,
            "vfs": [vf.to_dict() for vf in self.vfs] or None,
        }
        return {"pf": self.pf, **{key: value for key, value in wishes.items() if value is not None}}


@dataclass(frozen=True)
class HostDocument:
    pfs: tuple[PfSpec, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"pfs": [pf.to_dict() for pf in self.pfs]}


def validate(data: object) -> HostDocument:
    """The document in ``data``, a mapping as JSON or YAML give it; keys with the value null count as omitted.

    Raises `BadInputError` naming the key's path, the value and the fix.
    """
    host = _mapping(data, "host document", _HOST_KEYS)
    if "pfs" not in host:
        raise BadInputError("host document: the key 'pfs' is missing; write {\"pfs\": []} for a host without wishes")
    return HostDocument(tuple(_pf(item, f"pfs[{index}]") for index, item in enumerate(_list(host["pfs"], "pfs"))))


def resolve(
    document: HostDocument, states: Mapping[str, PfState], altnames: Mapping[str, str] | None = None
) -> HostDocument:
    """The document with PCI addresses, numbers and id sets in place of interface names, ``max`` and ``all``.

    ``altnames`` gives the interface name behind alternative names. Raises `BadInputError` for an unknown PF, one named
    twice, more VFs than it has, ids that are not enabled, and network properties for a PF without network interface.
    """
    resolved = tuple(_resolve_pf(pf, states, altnames or {}) for pf in document.pfs)
    seen: dict[str, str] = {}
    for spec, pf in zip(document.pfs, resolved):
        if pf.pf in seen:
            raise BadInputError(f"PF {pf.pf} is declared twice, as '{seen[pf.pf]}' and '{spec.pf}'; keep one of them")
        seen[pf.pf] = spec.pf
    return HostDocument(resolved)


def find_pf(name: str, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> PfState:
    """The PF that ``name`` means: a PCI address in any case, with or without domain, or an interface name."""
    lower = name.lower()
    netdev = altnames.get(name, name)
    for address, pf in states.items():
        if address in (lower, f"0000:{lower}") or (pf.netdev is not None and pf.netdev == netdev):
            return pf
    known = ", ".join(f"{pf.address} ({pf.netdev})" if pf.netdev else pf.address for pf in states.values())
    raise BadInputError(f"PF '{name}' is not on this host; PFs of this host: {known or 'none'}")


def _resolve_pf(spec: PfSpec, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> PfSpec:
    state = find_pf(spec.pf, states, altnames)
    enabled = state.enabled if spec.hardware_vfs is None else spec.hardware_vfs
    number = state.total if enabled == "max" else int(enabled)
    if number > state.total:
        raise BadInputError(f"PF {spec.pf}: hardware_vfs {number} is out of range: it has at most {state.total} VFs")
    present = spec.present_vfs
    vfs = tuple(
        replace(vf, ids=_resolve_ids(vf.ids, number, f"PF {spec.pf}: vfs[{index}].ids"))
        for index, vf in enumerate(spec.vfs)
    )
    if state.netdev is None and any(vf.properties for vf in vfs):
        named = ", ".join(sorted({name for vf in vfs for name in vf.properties.to_dict()}))
        raise BadInputError(f"PF {spec.pf}: {named} cannot be set: it has no network interface; leave them out")
    return replace(
        spec,
        pf=state.address,
        hardware_vfs=None if spec.hardware_vfs is None else number,
        present_vfs=None if present is None else _resolve_ids(present, number, f"PF {spec.pf}: present_vfs"),
        vfs=vfs,
    )


def _resolve_ids(ids: Ids, number: int, what: str) -> frozenset[int]:
    return _vfids.parse(ids if isinstance(ids, str) else sorted(ids), number, what)


def _ids_text(ids: Ids) -> str:
    return ids if isinstance(ids, str) else _vfids.describe(ids)


def _pf(data: object, where: str) -> PfSpec:
    pf = _mapping(data, where, _PF_KEYS)
    name = pf.get("pf")
    if not isinstance(name, str) or not name.strip():
        raise BadInputError(f"{where}.pf: {name!r} is not a PCI address or an interface name; write '0000:3b:00.0'")
    autoprobe = pf.get("drivers_autoprobe")
    if not isinstance(autoprobe, (bool, type(None))):
        raise BadInputError(f"{where}.drivers_autoprobe: {autoprobe!r} is not true or false")
    vfs = tuple(_vf(item, f"{where}.vfs[{i}]") for i, item in enumerate(_list(pf.get("vfs", []), f"{where}.vfs")))
    _check_overlap(vfs, where)
    present = _ids(pf["present_vfs"], f"{where}.present_vfs") if "present_vfs" in pf else None
    return PfSpec(name.strip(), _hardware(pf.get("hardware_vfs"), where), present, autoprobe, vfs)


def _vf(data: object, where: str) -> VfSpec:
    vf = _mapping(data, where, _VF_KEYS)
    if "ids" not in vf:
        raise BadInputError(f"{where}.ids is missing; write the VF ids that this is for, such as '0-3' or 'all'")
    ids = _ids(vf["ids"], f"{where}.ids")
    driver = vf.get("driver")
    if driver is not None and (not isinstance(driver, str) or not driver or "/" in driver or driver != driver.strip()):
        raise BadInputError(f"{where}.driver: {driver!r} is not a driver's name; write 'vfio-pci' or 'default'")
    properties = _properties.validate(vf, where)
    if properties.mac and (ids == ALL or len(ids) > 1):
        raise BadInputError(f"{where}.mac: {properties.mac} cannot be given to several VFs; give one id beside it")
    return VfSpec(ids, driver, properties)


def _check_overlap(vfs: tuple[VfSpec, ...], where: str) -> None:
    """No key may be given twice for one id."""
    for index, one in enumerate(vfs):
        for other_index, other in enumerate(vfs[:index]):
            keys = sorted((set(one.to_dict()) & set(other.to_dict())) - {"ids"})
            both = _common(one.ids, other.ids)
            if keys and both:
                raise BadInputError(
                    f"{where}.vfs[{index}].{keys[0]}: VF ids {both} have it from vfs[{other_index}] already; keep one"
                )


def _common(one: Ids, other: Ids) -> str:
    """The ids in both, as text; `all` holds every id."""
    if isinstance(one, str):
        return _ids_text(other) if isinstance(other, str) or other else ""
    return _vfids.compress(one) if isinstance(other, str) else _vfids.compress(one & other)


def _hardware(value: object, where: str) -> int | str | None:
    number = int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value
    if number is None or number == "max":
        return None if number is None else "max"
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _vfids.MAX_VFS:
        raise BadInputError(f"{where}.hardware_vfs: {value!r} is not a number from 0 on; write a number or 'max'")
    return number


def _ids(value: object, where: str) -> Ids:
    if isinstance(value, str) and value.strip() == ALL:
        return ALL
    return _vfids.parse(cast(_vfids.IdsInput, value), _vfids.MAX_VFS, where)


def _mapping(data: object, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """``data`` without its null values; raises `BadInputError` for a key that is none of ``keys``."""
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {data!r} is not a mapping with the keys {', '.join(keys)}")
    for key in data:
        if key not in keys:
            near = difflib.get_close_matches(str(key), keys, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(keys)}"
            raise BadInputError(f"{where}.{key}: unknown key; {hint}")
    return {key: value for key, value in data.items() if value is not None}


def _list(data: object, where: str) -> list[Any]:
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {data!r} is not a list")
    return list(data)
