# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export: the current state of a host as a host document.

Planned on that host it has no steps; on the same hardware it leads to the same state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._document.document import DEFAULT_DRIVER, HostDocument, validate
from .._document.id_sets import ALL
from .._document.vf_groups import vf_groups
from .._document.vf_spec import DRIVER
from .._model import eswitch, vf_device, vf_ids
from .._model.errors import BadInputError
from .._model.possible import impossible
from .._model.properties import ADDRESSES, VfProperties
from .._model.property_row import Property
from .._model.property_table import PF_SETTINGS, VF_DEVICE, VF_PROPERTIES
from .._model.settings import LEGACY
from .._model.state import OPT_OUT, UNBOUND
from .._model.values import cut, printable, shown
from . import made_up

_NEVER_BY_ITSELF = ("vfio", "uio", "pci-stub")
"""Parts of the names of drivers that VFs get only on request."""

_Facts = Mapping[str, Any]
"""A PF, or one of its VFs, as `info.gather` returns it."""


@dataclass(frozen=True)
class Export:
    """A document, and ``notices`` of what it cannot express."""

    document: HostDocument
    notices: tuple[str, ...]


def export(pfs: Sequence[_Facts], *, untouched: bool = False) -> Export:
    """The document of ``pfs`` as `info.gather` returns them.

    Without ``untouched``, PFs that are as the kernel starts with them (no VFs, autoprobe on, no MTU or eswitch mode
    of their own) are left out. So are those that are blocked, with a notice: nobody can read them. Raises
    `BadInputError` for anything that is no such list.
    """
    try:
        readable = [pf for pf in pfs if not _unread(pf)]
        chosen = [pf for pf in readable if untouched or _touched(pf)]
        document = validate({"pfs": [_pf(pf) for pf in chosen]})
        blocked = [f"PF {pf['pf']} is left out, as it cannot be read: {why}" for pf in pfs if (why := _unread(pf))]
        notices = (notice for pf in chosen for notice in _notices(pf))
        return Export(document, (*blocked, *notices, *_shared(chosen, readable)))
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInputError(f"pfs: this is not what sriov_info of this version returns: {error!r}") from error


def _pf(pf: _Facts) -> dict[str, Any]:
    number = pf["hardware_vfs"]
    if number is not None and not 0 <= number <= vf_ids.MAX_VFS:
        most = f"use 0 to {vf_ids.MAX_VFS}, as sriov_info does"
        raise BadInputError(f"pfs: hardware_vfs of PF {shown(pf['pf'])} is {shown(number)}, no number of VFs; {most}")
    data: dict[str, Any] = {
        "pf": pf["pf"],
        "hardware_vfs": number,
        "present_vfs": ALL if number and not _missing(pf) else pf["present_vfs"],
        "drivers_autoprobe": pf["drivers_autoprobe"],
        **_declarable(PF_SETTINGS, _settings(pf)),
    }
    declared = {
        vf["id"]: values
        for vf in pf["vfs"]
        if (values := {**_driver(pf, vf), **_properties(pf, vf), **_device(pf, vf)})
    }
    return {**data, "vfs": vf_groups(declared, number)} if declared else data


def _unread(pf: _Facts) -> str:
    """Why a PF has no facts, empty for one that has."""
    return str(pf.get("blocked") or pf.get("unreadable") or "")


def _touched(pf: _Facts) -> bool:
    return bool(pf["hardware_vfs"] or not pf["drivers_autoprobe"] or _settings(pf))


def _settings(pf: _Facts) -> dict[str, Any]:
    """Settings of the PF that differ from those the kernel starts with."""
    plain = {"eswitch_mode": (None, LEGACY), "mtu": (None, *made_up.usual_mtus(pf))}
    return {name: pf[name] for name, usual in plain.items() if pf.get(name) not in usual}


def _device(pf: _Facts, vf: _Facts) -> dict[str, int]:
    """Settings of a VF's device that can be declared."""
    return _declarable(VF_DEVICE, _own_device(pf, vf))


def _own_device(pf: _Facts, vf: _Facts) -> dict[str, int]:
    """MSI-X vectors, where the PF shares them out, and an unusual MTU."""
    vectors, mtu = vf.get("msix_vectors"), vf.get("mtu")
    number = vf_device.number_for(vectors, pf["driver"]) if vectors and pf.get("total_msix") else 0
    return {
        **({"msix_vectors": number} if number else {}),
        **({} if mtu is None or mtu in made_up.usual_mtus(pf) else {"mtu": mtu}),
    }


def _missing(pf: _Facts) -> frozenset[int]:
    """VFs that are enabled and absent."""
    enabled = range(pf["hardware_vfs"])
    return frozenset(enabled) - vf_ids.parse(
        pf["present_vfs"], vf_ids.MAX_VFS, f"pfs: present_vfs of PF {shown(pf['pf'])}"
    )


def _driver(pf: _Facts, vf: _Facts) -> dict[str, str]:
    """Driver of a VF that would not be bound by itself."""
    driver = vf["driver"] if vf["present"] else None
    if driver is None:
        return {"driver": UNBOUND} if _opted_out(pf, vf) else {}
    explicit = vf["driver_override"] or not pf["drivers_autoprobe"] or any(part in driver for part in _NEVER_BY_ITSELF)
    return {"driver": driver} if explicit and _is_driver(driver) else {}


def _opted_out(pf: _Facts, vf: _Facts) -> bool:
    """Whether a VF without a driver is kept from having one."""
    return bool(vf["present"] and pf["drivers_autoprobe"] and vf["driver_override"] == OPT_OUT)


def _given(pf: _Facts, vf: _Facts) -> dict[str, Any]:
    """Properties that differ from defaults and that the eswitch's mode can restore."""
    lost = eswitch.kept_by_nobody(pf["driver"], pf.get("eswitch_mode"))
    return VfProperties(**vf.get("properties", {})).without(lost).without_defaults().to_dict()


def _properties(pf: _Facts, vf: _Facts) -> dict[str, Any]:
    """Properties of a VF that can be declared, less those made up."""
    chosen = {name: value for name, value in _given(pf, vf).items() if name not in made_up.values(pf, vf)}
    given = _declarable(VF_PROPERTIES, chosen)
    return {name: value for name, value in given.items() if name not in ("qos", "vlan_proto") or "vlan" in given}


def _declarable(rows: Iterable[Property], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the ``values`` that a document can have."""
    odd = impossible(rows, values)
    return {name: value for name, value in values.items() if name not in odd}


def _notices(pf: _Facts) -> Iterator[str]:
    """Notices of unread sources, and of what cannot be expressed, by kind."""
    yield from (f"PF {pf['pf']}: {text}" for text in pf.get("unread", ()))
    for name, value in impossible(PF_SETTINGS, _settings(pf)).items():
        yield f"PF {pf['pf']}: its {name} is {_said(value)}, which cannot be declared; it is left out"
    kinds: dict[str, list[int]] = {}
    for vf in pf["vfs"]:
        for kind in _kinds(pf, vf):
            kinds.setdefault(kind, []).append(vf["id"])
    if not pf["abilities"]["choose"] and (missing := _missing(pf)):
        kinds[f"are absent, but '{pf['interface']}' can only have all VFs present"] = sorted(missing)
    for kind, ids in kinds.items():
        yield f"PF {pf['pf']}: VFs {vf_ids.compress(ids)} {kind}"


def _shared(chosen: Iterable[_Facts], pfs: Iterable[_Facts]) -> Iterator[str]:
    """Notices of addresses that several have, a declared VF among them.

    `addresses_once` refuses the document for them, here as on any other host.
    """
    vfs: dict[tuple[str, str], dict[str, list[int]]] = {}
    for pf in chosen:
        for vf in pf["vfs"]:
            for name, address in _properties(pf, vf).items():
                if name in ADDRESSES:
                    vfs.setdefault((name, address), {}).setdefault(pf["pf"], []).append(vf["id"])
    own = {("mac", pf["mac"]): f"PF {pf['pf']} itself" for pf in pfs if isinstance(pf.get("mac"), str)}
    for (name, address), by_pf in vfs.items():
        holders = [own[name, address]] if (name, address) in own else []
        holders += [f"VF{'s' if len(ids) > 1 else ''} {vf_ids.compress(ids)} of PF {pf}" for pf, ids in by_pf.items()]
        if len(holders) > 1 or any(len(ids) > 1 for ids in by_pf.values()):
            yield (
                f"{name} {address} is that of {' and of '.join(holders)}: no host takes a document with it; give all "
                "but one of them another, or none"
            )


def _kinds(pf: _Facts, vf: _Facts) -> Iterator[str]:
    if vf["present"]:
        yield from _driver_kinds(pf, vf)
    given = _given(pf, vf)
    for name, why in made_up.values(pf, vf).items():
        yield f"have values of {name} that {why}; they are left out"
    if made_up.doubtful(pf, vf):
        yield (
            "have MAC addresses that may be set or may be made up by a guest's driver; they are declared, so take out "
            "those that nobody has chosen"
        )
    for name, value in {**impossible(VF_PROPERTIES, given), **impossible(VF_DEVICE, _own_device(pf, vf))}.items():
        yield f"have {name} {_said(value)}, which cannot be declared; it is left out"
    if "qos" in given and "vlan" not in given:
        yield f"have qos {_said(given['qos'])} without a VLAN, which cannot be declared"


def _is_driver(name: object) -> bool:
    """Whether a driver's name can be declared, and means the driver.

    `UNBOUND` and `DEFAULT_DRIVER` mean something else in a document.
    """
    plain = isinstance(name, str) and re.fullmatch(DRIVER, name, re.ASCII) is not None
    return plain and name not in (DEFAULT_DRIVER, UNBOUND)


def _said(value: object) -> str:
    """A reading for a notice, in one short line."""
    return cut(printable(value)) if isinstance(value, str) else shown(value)


def _driver_kinds(pf: _Facts, vf: _Facts) -> Iterator[str]:
    driver, override = vf["driver"], vf["driver_override"]
    if driver is None and _opted_out(pf, vf):
        return
    if driver is None and override:
        yield f"have driver_override {_said(override)} and no driver; declare that driver to have it bound"
    elif driver is None and pf["drivers_autoprobe"]:
        yield "have no driver though autoprobe is on; where they are added again, a driver that fits takes them"
    elif driver and not _is_driver(driver):
        yield f"are bound to {_said(driver)}, which is no name of a driver that can be declared; it is left out"
    elif driver and override not in (None, driver):
        yield f"are bound to {_said(driver)} with driver_override {_said(override)}; only the driver is declared"
