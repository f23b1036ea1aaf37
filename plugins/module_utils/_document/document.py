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
from .._model.values import flag, number, shown, whole
from .id_sets import UNMANAGED, Ids, ids_text, present_ids_of
from .shape import Mistakes, items, mapping, pf_name

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


class AtMost(NamedTuple):
    """So many VFs, or all of them where the PF has fewer."""

    at_most: int

    def __int__(self) -> int:
        return self.at_most

    def to_dict(self) -> dict[str, Any]:
        return {"at_most": self.at_most}


class PfSpec(NamedTuple):
    """The spec of one PF, or of all PFs of a selector.

    None leaves the current state. ``add_vfs`` and ``remove_vfs``: VFs to be present or absent, all others as they are
    (`vf_request`; no part of a document). ``allow_disruptive``: all VFs may be disabled first, which takes VFs away
    that are to stay. Of a resolved spec, ``asked_max``: its number is as many as there are; ``unmanaged``: its
    ``present_vfs`` was that.
    """

    pf: PfName
    hardware_vfs: int | str | AtMost | None = None
    present_vfs: Ids | None = None
    drivers_autoprobe: bool | None = None
    vfs: tuple[VfSpec, ...] = ()
    allow_disruptive: bool = False
    add_vfs: Ids | None = None
    remove_vfs: Ids | None = None
    settings: PfSettings = PfSettings()
    asked_max: bool = False
    unmanaged: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The spec as in the document, declared values only."""
        known = UNMANAGED if self.unmanaged else self.present_vfs
        present = None if known is None else ids_text(known)
        declared = {
            "hardware_vfs": self.hardware_vfs.to_dict() if isinstance(self.hardware_vfs, AtMost) else self.hardware_vfs,
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

    Keys with the value null count as omitted. Raises `BadInputError` with all mistakes, each naming the key's path, the
    value and the fix.
    """
    mistakes = Mistakes()
    host = mapping(data, "host document", _HOST_KEYS, mistakes)
    schema = host.get("schema", SCHEMA)
    if isinstance(schema, bool) or schema != SCHEMA:
        mistakes.add(f"host document.schema: {shown(schema)} is not {SCHEMA}, the only one that this version knows")
    if "pfs" not in host:
        mistakes.add("host document: the key 'pfs' is missing; write {\"pfs\": []} to declare none")
    pfs = []
    with mistakes:
        for index, item in enumerate(items(host.get("pfs", []), "pfs")):
            with mistakes:
                pfs.append(_pf(item, f"pfs[{index}]", mistakes))
    mistakes.raise_found()
    return HostDocument(tuple(pfs))


def _pf(data: object, where: str, mistakes: Mistakes) -> PfSpec:
    """The spec of one PF, without what is among the mistakes."""
    pf = mapping(data, where, _PF_KEYS, mistakes)
    read = mistakes.read
    name: PfName = ""
    with mistakes:
        name = _name(pf.get("pf"), f"{where}.pf")
    return PfSpec(
        name,
        read(pf, "hardware_vfs", where, _hardware),
        read(pf, "present_vfs", where, present_ids_of),
        read(pf, "drivers_autoprobe", where, flag),
        _vfs(read(pf, "vfs", where, items), name, where, mistakes),
        read(pf, "allow_disruptive", where, flag) or False,
        settings=_pf_settings(pf, where, mistakes),
    )


def _name(data: object, where: str) -> PfName:
    if isinstance(data, str):
        return pf_name(data, where)
    from . import selector

    return selector.validate(data, where)


def _vfs(data: list[Any] | None, pf: PfName, where: str, mistakes: Mistakes) -> tuple[VfSpec, ...]:
    if not data:
        return ()
    from . import vf_spec

    return vf_spec.validate(data, pf, where, mistakes)


def _pf_settings(pf: Mapping[str, Any], where: str, mistakes: Mistakes) -> PfSettings:
    if not pf.keys() & set(_settings.NAMES):
        return PfSettings()
    from . import property_values

    return property_values.pf_settings(pf, where, mistakes)


def _hardware(value: object, where: str) -> int | str | AtMost:
    if value == "max":
        return "max"
    if isinstance(value, Mapping):
        return AtMost(_most(value, where))
    found = whole(value)
    if found is None or not 0 <= found <= vf_ids.MAX_VFS:
        raise BadInputError(
            f"{where}: {shown(value)} is not a number from 0 on; write a number, 'max' or {{at_most: NUMBER}}"
        )
    return found


def _most(value: Mapping[Any, Any], where: str) -> int:
    mistakes = Mistakes()
    given = mapping(value, where, ("at_most",), mistakes)
    mistakes.raise_found()
    return number(given.get("at_most"), 0, vf_ids.MAX_VFS, f"{where}.at_most")
