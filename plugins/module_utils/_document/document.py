# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host document: the desired SR-IOV state of a host.

One schema for module arguments, role variables and the file. Selectors and entries for single VFs (`vf_spec`) are
imported where a document has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._model import settings as _settings
from .._model import vf_ids
from .._model.errors import BadInputError
from .._model.settings import PfSettings
from .id_sets import Ids, ids_of, ids_text
from .shape import items, mapping

if TYPE_CHECKING:
    from .selector import PfName
    from .vf_spec import VfSpec

DEFAULT_DRIVER = "default"
"""The VF driver "default": no driver_override, the kernel's choice."""


SCHEMA = 1
"""The schema number that a document may give.

Another number is for keys of another meaning.
"""

_HOST_KEYS = ("schema", "pfs")
_PF_KEYS = (
    "pf", "hardware_vfs", "present_vfs", "drivers_autoprobe", *_settings.NAMES, "vfs", "allow_disruptive",
)  # fmt: skip


class PfSpec(NamedTuple):
    """The spec of one PF, or of all PFs of a selector.

    None leaves the current state. ``add_vfs`` and ``remove_vfs``: VFs to be present or absent, all others as they are
    (`vf_request`; no part of a document). ``allow_disruptive``: all VFs may be disabled first, which takes VFs away
    that are to stay.
    """

    pf: PfName
    hardware_vfs: int | str | None = None
    present_vfs: Ids | None = None
    drivers_autoprobe: bool | None = None
    vfs: tuple[VfSpec, ...] = ()
    allow_disruptive: bool = False
    add_vfs: Ids | None = None
    remove_vfs: Ids | None = None
    settings: PfSettings = PfSettings()

    def to_dict(self) -> dict[str, Any]:
        """The spec as in the document, declared values only."""
        present = None if self.present_vfs is None else ids_text(self.present_vfs)
        declared = {
            "hardware_vfs": self.hardware_vfs,
            "present_vfs": present,
            "drivers_autoprobe": self.drivers_autoprobe,
            **self.settings.to_dict(),
            "vfs": [vf.to_dict() for vf in self.vfs] or None,
            "allow_disruptive": self.allow_disruptive or None,
        }
        pf = self.pf if isinstance(self.pf, str) else self.pf.to_dict()
        return {"pf": pf, **{key: value for key, value in declared.items() if value is not None}}


class HostDocument(NamedTuple):
    pfs: tuple[PfSpec, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"pfs": [pf.to_dict() for pf in self.pfs]}


def validate(data: object) -> HostDocument:
    """The host document in ``data``, a mapping from JSON or YAML.

    Keys with the value null count as omitted. Raises `BadInputError` naming the key's path, the value and the fix.
    """
    host = mapping(data, "host document", _HOST_KEYS)
    schema = host.get("schema", SCHEMA)
    if isinstance(schema, bool) or schema != SCHEMA:
        raise BadInputError(f"host document.schema: {schema!r} is not {SCHEMA}, the only one that this version knows")
    if "pfs" not in host:
        raise BadInputError("host document: the key 'pfs' is missing; write {\"pfs\": []} to declare none")
    return HostDocument(tuple(_pf(item, f"pfs[{index}]") for index, item in enumerate(items(host["pfs"], "pfs"))))


def _pf(data: object, where: str) -> PfSpec:
    pf = mapping(data, where, _PF_KEYS)
    name = _name(pf.get("pf"), f"{where}.pf")
    autoprobe = pf.get("drivers_autoprobe")
    if not isinstance(autoprobe, (bool, type(None))):
        raise BadInputError(f"{where}.drivers_autoprobe: {autoprobe!r} is not true or false")
    vfs = _vfs(items(pf.get("vfs", []), f"{where}.vfs"), name, where)
    present = ids_of(pf["present_vfs"], f"{where}.present_vfs") if "present_vfs" in pf else None
    disruptive = pf.get("allow_disruptive", False)
    if not isinstance(disruptive, bool):
        raise BadInputError(f"{where}.allow_disruptive: {disruptive!r} is not true or false")
    number, settings = _hardware(pf.get("hardware_vfs"), where), _pf_settings(pf, where)
    return PfSpec(name, number, present, autoprobe, vfs, disruptive, settings=settings)


def _name(data: object, where: str) -> PfName:
    if isinstance(data, str) and data.strip():
        return data.strip()
    from . import selector

    return selector.validate(data, where)


def _vfs(data: list[Any], pf: PfName, where: str) -> tuple[VfSpec, ...]:
    if not data:
        return ()
    from . import vf_spec

    return vf_spec.validate(data, pf, where)


def _pf_settings(pf: Mapping[str, Any], where: str) -> PfSettings:
    if not pf.keys() & set(_settings.NAMES):
        return PfSettings()
    from . import property_values

    return property_values.pf_settings(pf, where)


def _hardware(value: object, where: str) -> int | str | None:
    number = int(value) if isinstance(value, str) and value.isdecimal() and value.isascii() else value
    if number is None or number == "max":
        return None if number is None else "max"
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= vf_ids.MAX_VFS:
        raise BadInputError(f"{where}.hardware_vfs: {value!r} is not a number from 0 on; write a number or 'max'")
    return number
