# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host document: what SR-IOV state a host should have; one schema for module arguments, role variables and file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Union, cast

from . import _derived, _eswitch, _pf_settings, _properties, _selector, _vf_device, _vfids
from ._errors import BadInputError
from ._input import items, mapping
from ._owed import Owed
from ._pf_settings import PfSettings
from ._properties import VfProperties
from ._selector import PfName, Selector
from ._state import PfState
from ._vf_device import VfDevice

ALL = "all"
DEFAULT_DRIVER = "default"
"""As a VF's driver: no driver_override, so that the kernel chooses."""

Ids = Union["frozenset[int]", str]
"""A set of ids, or `ALL` until `resolve` knows how many VFs are enabled."""

_HOST_KEYS = ("pfs",)
_PF_KEYS = (
    "pf", "hardware_vfs", "present_vfs", "drivers_autoprobe", *_pf_settings.NAMES, "vfs", "allow_disruptive",
)  # fmt: skip
VF_KEYS = ("ids", "driver", *_properties.NAMES, *_vf_device.NAMES)


@dataclass(frozen=True)
class VfSpec:
    """A wish for the VFs ``ids``: driver and device where they are present, properties where they are enabled."""

    ids: Ids
    driver: str | None = None
    properties: VfProperties = field(default_factory=VfProperties)
    device: VfDevice = field(default_factory=VfDevice)

    def to_dict(self) -> dict[str, Any]:
        driver = {} if self.driver is None else {"driver": self.driver}
        return {"ids": _ids_text(self.ids), **driver, **self.properties.to_dict(), **self.device.to_dict()}


@dataclass(frozen=True)
class PfSpec:
    """A wish for one PF, or for all PFs of a selector alike; None means "leave as found".

    ``add_vfs`` and ``remove_vfs``: present or not, all others as they are found (`_vf_wish`; no part of a document).
    ``allow_disruptive``: the number enabled may go through 0, which takes VFs away that shall stay.
    """

    pf: PfName
    hardware_vfs: int | str | None = None
    present_vfs: Ids | None = None
    drivers_autoprobe: bool | None = None
    vfs: tuple[VfSpec, ...] = ()
    allow_disruptive: bool = False
    add_vfs: Ids | None = None
    remove_vfs: Ids | None = None
    settings: PfSettings = field(default_factory=PfSettings)

    def to_dict(self) -> dict[str, Any]:
        """As in the document, without what is left as found."""
        present = None if self.present_vfs is None else _ids_text(self.present_vfs)
        wishes = {
            "hardware_vfs": self.hardware_vfs,
            "present_vfs": present,
            "drivers_autoprobe": self.drivers_autoprobe,
            **self.settings.to_dict(),
            "vfs": [vf.to_dict() for vf in self.vfs] or None,
            "allow_disruptive": self.allow_disruptive or None,
        }
        pf = self.pf.to_dict() if isinstance(self.pf, Selector) else self.pf
        return {"pf": pf, **{key: value for key, value in wishes.items() if value is not None}}


@dataclass(frozen=True)
class HostDocument:
    pfs: tuple[PfSpec, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"pfs": [pf.to_dict() for pf in self.pfs]}


def validate(data: object) -> HostDocument:
    """The document in ``data``, a mapping as JSON or YAML give it; keys with the value null count as omitted.

    Raises `BadInputError` naming the key's path, the value and the fix.
    """
    host = mapping(data, "host document", _HOST_KEYS)
    if "pfs" not in host:
        raise BadInputError("host document: the key 'pfs' is missing; write {\"pfs\": []} for a host without wishes")
    return HostDocument(tuple(_pf(item, f"pfs[{index}]") for index, item in enumerate(items(host["pfs"], "pfs"))))


def resolve(
    document: HostDocument, states: Mapping[str, PfState], altnames: Mapping[str, str] | None = None
) -> HostDocument:
    """The document with PCI addresses, numbers and id sets in place of names, selectors, ``max`` and ``all``.

    ``altnames`` gives the interface name behind alternative names. Raises `BadInputError` for an unknown PF, one named
    twice, more VFs than it has, ids that are not enabled, and network properties for a PF without network interface.
    """
    resolved: list[PfSpec] = []
    seen: dict[str, PfName] = {}
    for spec in document.pfs:
        for state in _selector.find(spec.pf, states, altnames or {}):
            address = state.address
            if address in seen:
                raise BadInputError(
                    f"PF {address} is declared twice, as '{seen[address]}' and '{spec.pf}'; keep one of them"
                )
            seen[address] = spec.pf
            resolved.append(_resolve_pf(spec, state))
    return HostDocument(tuple(resolved))


def _resolve_pf(spec: PfSpec, state: PfState) -> PfSpec:
    name = spec.pf if isinstance(spec.pf, str) else state.address
    if state.owed and spec.hardware_vfs is None and state.enabled == 0:
        spec = replace(spec, hardware_vfs=state.owed.enabled)
    enabled = state.enabled if spec.hardware_vfs is None else spec.hardware_vfs
    number = state.total if enabled == "max" else int(enabled)
    if number > state.total:
        raise BadInputError(f"PF {name}: hardware_vfs {number} is out of range: it has at most {state.total} VFs")
    present, added, removed = spec.present_vfs, spec.add_vfs, spec.remove_vfs
    added = None if added is None else _resolve_ids(added, number, f"PF {name}: ids")
    vfs = tuple(
        replace(vf, ids=_resolve_ids(vf.ids, number, f"PF {name}: vfs[{index}].ids"))
        for index, vf in enumerate(spec.vfs)
    )
    for index, vf in enumerate(vfs):
        for key, text in vf.properties.derived().items():
            _derived.check_ids(text, map(int, vf.ids), f"PF {name}: vfs[{index}].{key}")
    needs_netdev = {key for vf in vfs for key in vf.properties.to_dict()} | ({"mtu"} if spec.settings.mtu else set())
    if state.netdev is None and needs_netdev:
        named = ", ".join(sorted(needs_netdev))
        raise BadInputError(f"PF {name}: {named} cannot be set: it has no network interface; leave them out")
    resolved = replace(
        spec,
        pf=state.address,
        hardware_vfs=None if spec.hardware_vfs is None else number,
        present_vfs=None if present is None else _resolve_ids(present, number, f"PF {name}: present_vfs"),
        vfs=vfs,
        add_vfs=added,
        remove_vfs=None if removed is None else _resolve_ids(removed, state.total, f"PF {name}: ids"),
    )
    return _with_owed(resolved, state, frozenset(range(number))) if state.owed else resolved


def _with_owed(spec: PfSpec, state: PfState, ids: frozenset[int]) -> PfSpec:
    """What is owed to the VFs ``ids`` is wished as well, as far as the wish does not say otherwise."""
    owed = state.owed or Owed()
    back = None if owed.present is None else (owed.present | state.present) & ids
    lost = _eswitch.kept_by_nobody(state.driver, spec.settings.eswitch_mode)
    given = {
        i: VfSpec(frozenset({i}), owed.drivers.get(i), owed.properties.get(i, VfProperties()).without(lost))
        for i in sorted({*owed.drivers, *owed.properties} & ids)
    }  # fmt: skip
    return replace(
        spec,
        present_vfs=back if spec.present_vfs is None else spec.present_vfs,
        drivers_autoprobe=owed.autoprobe if spec.drivers_autoprobe is None else spec.drivers_autoprobe,
        vfs=(*given.values(), *spec.vfs),
    )


def _resolve_ids(ids: Ids, number: int, what: str) -> frozenset[int]:
    return _vfids.parse(ids if isinstance(ids, str) else sorted(ids), number, what)


def _ids_text(ids: Ids) -> str:
    return ids if isinstance(ids, str) else _vfids.describe(ids)


def _pf(data: object, where: str) -> PfSpec:
    pf = mapping(data, where, _PF_KEYS)
    name = _selector.validate(pf.get("pf"), f"{where}.pf")
    autoprobe = pf.get("drivers_autoprobe")
    if not isinstance(autoprobe, (bool, type(None))):
        raise BadInputError(f"{where}.drivers_autoprobe: {autoprobe!r} is not true or false")
    vfs = tuple(vf_spec(item, f"{where}.vfs[{i}]") for i, item in enumerate(items(pf.get("vfs", []), f"{where}.vfs")))
    _check_overlap(vfs, where)
    check_alike(name, vfs, where)
    present = _ids(pf["present_vfs"], f"{where}.present_vfs") if "present_vfs" in pf else None
    disruptive = pf.get("allow_disruptive", False)
    if not isinstance(disruptive, bool):
        raise BadInputError(f"{where}.allow_disruptive: {disruptive!r} is not true or false")
    number, settings = _hardware(pf.get("hardware_vfs"), where), _pf_settings.validate(pf, where)
    return PfSpec(name, number, present, autoprobe, vfs, disruptive, settings=settings)


def check_alike(pf: PfName, vfs: tuple[VfSpec, ...], where: str) -> None:
    """What all PFs of a selector are given must be nothing that only one of them can have.

    The same base gives VFs of different PFs the same addresses; a hash does not, it is of the PF as well.
    """
    if not isinstance(pf, Selector) or not pf.all:
        return
    for vf in vfs:
        for name in _properties.ADDRESSES:
            value = getattr(vf.properties, name)
            if value and value != _derived.HASH:
                more = f", or give '{_derived.HASH}'" if name == "mac" else ""
                raise BadInputError(
                    f"{where}.pf.all: {name} {value} cannot be given to VFs of several PFs; name each PF{more}"
                )


def vf_spec(data: object, where: str) -> VfSpec:
    """One entry of ``vfs``, or what `_vf_wish` has of one."""
    vf = mapping(data, where, VF_KEYS)
    if "ids" not in vf:
        raise BadInputError(f"{where}.ids is missing; write the VF ids that this is for, such as '0-3' or 'all'")
    ids = _ids(vf["ids"], f"{where}.ids")
    driver = vf.get("driver")
    if driver is not None and (not isinstance(driver, str) or not driver or "/" in driver or driver != driver.strip()):
        raise BadInputError(f"{where}.driver: {driver!r} is not a driver's name; write 'vfio-pci' or 'default'")
    properties = _properties.validate(vf, where)
    _check_addresses(properties, ids, where)
    return VfSpec(ids, driver, properties, _vf_device.validate(vf, where))


def _check_addresses(properties: VfProperties, ids: Ids, where: str) -> None:
    """Several VFs can have derived addresses only."""
    for name in _properties.ADDRESSES:
        value = getattr(properties, name)
        if value and not _derived.is_derived(value) and (ids == ALL or len(ids) > 1):
            more = f" or '{value}{_derived.PLUS_ID}' for a base that each id is added to"
            raise BadInputError(f"{where}.{name}: {value} cannot be given to several VFs; give one id beside it,{more}")


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
