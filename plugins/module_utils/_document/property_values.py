# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of properties in documents.

Most hosts declare none, so this is imported where one is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._model import addresses
from .._model.errors import BadInputError
from .._model.properties import ADDRESSES, VfProperties
from .._model.property_row import Number, Property
from .._model.property_table import BY_NAME, PF_SETTINGS, VF_DEVICE, VF_PROPERTIES
from .._model.settings import PfSettings
from .._model.vf_device import VfDevice
from .id_sets import ALL

if TYPE_CHECKING:
    from .id_sets import Ids
    from .shape import Mistakes


def pf_settings(data: Mapping[str, Any], where: str, mistakes: Mistakes) -> PfSettings:
    """The PF settings among the keys of ``data``.

    ``where`` is its place in the document. ``mistakes`` name the key's path and the allowed values.
    """
    return PfSettings(**_checked(PF_SETTINGS, data, where, mistakes))


def vf_device(data: Mapping[str, Any], where: str, mistakes: Mistakes) -> VfDevice:
    """The settings of present VFs among ``data``, as in `pf_settings`."""
    return VfDevice(**_checked(VF_DEVICE, data, where, mistakes))


def check_name(device: VfDevice, ids: Ids, where: str) -> None:
    """Refuse a name for several VFs, or one that is too long."""
    name = device.name
    if name is None:
        return
    from .._model import interface_names

    if isinstance(ids, frozenset):
        interface_names.check_ids(name, ids, f"{where}.name")
    if not interface_names.is_derived(name) and (ids == ALL or len(ids) > 1):
        raise BadInputError(
            f"{where}.name: {name} cannot be given to several VFs; give one id beside it, or "
            f"'{name}{addresses.PLUS_ID}' for a name that each id is appended to"
        )


def vf_properties(data: Mapping[str, Any], where: str, mistakes: Mistakes) -> VfProperties:
    """The properties of enabled VFs among ``data``, as in `pf_settings`.

    They must fit each other.
    """
    values = _checked(VF_PROPERTIES, data, where, mistakes)
    for row in VF_PROPERTIES:
        with mistakes:
            _check_others(row, values, data, f"{where}.{row.name}")
    return VfProperties(**values)


def _checked(rows: Iterable[Property], data: Mapping[str, Any], where: str, mistakes: Mistakes) -> dict[str, Any]:
    given = [row for row in rows if data.get(row.name) is not None]
    checked = {row.name: mistakes.read(data, row.name, where, row.kind.check) for row in given}
    return {name: value for name, value in checked.items() if value is not None}


def _check_others(row: Property, values: Mapping[str, Any], data: Mapping[str, Any], where: str) -> None:
    """Check a property against the properties that it depends on.

    ``data``: all that are given, of which ``values`` has those without mistakes.

    Raises `BadInputError` where the one that it needs is missing, or where it exceeds the one that limits it.
    """
    value, most = values.get(row.name), values.get(row.at_most)
    if (
        row.needs
        and value not in (None, row.default)
        and not (values.get(row.needs) or _wrong(row.needs, values, data))
    ):
        kind = BY_NAME[row.needs].kind
        which = f" from 1 to {kind.high}" if isinstance(kind, Number) else ""
        raise BadInputError(f"{where}: {value} needs a {row.needs}{which} beside it")
    if most and (value or 0) > most:
        raise BadInputError(f"{where}: {value} is above {row.at_most} {most}")


def _wrong(name: str, values: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether a property is given with a mistake, which is named already."""
    return data.get(name) is not None and name not in values


def check_addresses(properties: VfProperties, ids: Ids, where: str) -> None:
    """Refuse the same address for several VFs.

    Raises `BadInputError`. An address derived from the VF's id is not the same.
    """
    for name in ADDRESSES:
        value = getattr(properties, name)
        if value and not addresses.is_derived(value) and (ids == ALL or len(ids) > 1):
            more = f" or '{value}{addresses.PLUS_ID}' for a base that each id is added to"
            raise BadInputError(f"{where}.{name}: {value} cannot be given to several VFs; give one id beside it,{more}")
