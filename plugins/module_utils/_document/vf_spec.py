# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs of single VFs, or sets of them, in the host document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._model import properties as _properties
from .._model import vf_device as _vf_device
from .._model.errors import BadInputError
from .._model.properties import VfProperties
from .._model.values import shown
from .._model.vf_device import VfDevice
from .id_sets import Ids, ids_of, ids_text, resolve_ids
from .owners import Owners
from .shape import Mistakes, mapping

if TYPE_CHECKING:
    from .selector import PfName

DRIVER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}"
"""Names of drivers, as a pattern."""
VF_KEYS = ("ids", "driver", *_properties.NAMES, *_vf_device.NAMES)


class VfSpec(NamedTuple):
    """The spec of the VFs ``ids``.

    Driver and device hold where they are present, properties where they are enabled.
    """

    ids: Ids
    driver: str | None = None
    properties: VfProperties = VfProperties()
    device: VfDevice = VfDevice()

    def resolved(self, number: int, where: str) -> VfSpec:
        """The spec with a set of ids below ``number``, the enabled VFs.

        Raises `BadInputError` for other ids, and for base addresses that have no room for them.
        """
        ids = resolve_ids(self.ids, number, f"{where}.ids")
        for key, text in self.properties.derived().items():
            _check_derived(key, text, ids, f"{where}.{key}")
        if self.device.name is not None:
            from .._model import interface_names

            interface_names.check_ids(self.device.name, ids, f"{where}.name")
        return self._replace(ids=ids)

    def names(self) -> list[str]:
        """Names of the declared values."""
        driver = [] if self.driver is None else ["driver"]
        return [*driver, *self.properties.to_dict(), *self.device.to_dict()]

    def to_dict(self) -> dict[str, Any]:
        driver = {} if self.driver is None else {"driver": self.driver}
        return {"ids": ids_text(self.ids), **driver, **self.properties.to_dict(), **self.device.to_dict()}


def _check_derived(name: str, text: str, ids: Iterable[int], where: str) -> None:
    """Raise `BadInputError` for a base that has no room for ``ids``."""
    from .._model import addresses

    if name not in _properties.NUMBERS:
        addresses.check_ids(text, ids, where)
        return
    from .._model import property_row, property_table

    kind = property_table.BY_NAME[name].kind
    if isinstance(kind, property_row.Number):
        addresses.check_numbers(text, ids, kind.high, where)


def validate(data: Iterable[object], pf: PfName, where: str, mistakes: Mistakes) -> tuple[VfSpec, ...]:
    """The list ``vfs`` of the spec of ``pf``.

    ``mistakes`` name the key's path, the value and the fix. Entries with any are left out.
    """
    vfs: list[VfSpec] = []
    owners = Owners()
    for index, item in enumerate(data):
        place = f"{where}.vfs[{index}]"
        with mistakes:
            vfs.append(vf_spec(item, place, mistakes))
            mistakes.add(*owners.claim(index, vfs[-1].ids, vfs[-1].names(), place))
    with mistakes:
        check_alike(pf, tuple(vfs), where)
    return tuple(vfs)


def vf_spec(data: object, where: str, mistakes: Mistakes) -> VfSpec:
    """One entry of ``vfs``, or the same part of a `vf_request`.

    Raises `BadInputError` where its ids are wrong; other mistakes go to ``mistakes``.
    """
    vf = mapping(data, where, VF_KEYS, mistakes)
    ids: Ids | None = None
    if "ids" not in vf:
        mistakes.add(f"{where}.ids is missing; write the VF ids that this is for, such as '0-3' or 'all'")
    else:
        ids = mistakes.read(vf, "ids", where, ids_of)
    driver = mistakes.read(vf, "driver", where, _driver)
    return VfSpec(frozenset() if ids is None else ids, driver, *_values(vf, ids, where, mistakes))


def _driver(value: object, where: str) -> str:
    """The name of a driver, part of paths and commands."""
    if not (isinstance(value, str) and re.fullmatch(DRIVER, value, re.ASCII)):
        raise BadInputError(f"{where}: {shown(value)} is not a driver's name; write 'vfio-pci', 'default' or 'unbound'")
    return str(value)


def _values(vf: Mapping[str, Any], ids: Ids | None, where: str, mistakes: Mistakes) -> tuple[VfProperties, VfDevice]:
    if not vf.keys() & {*_properties.NAMES, *_vf_device.NAMES}:
        return VfProperties(), VfDevice()
    from . import property_values

    properties = property_values.vf_properties(vf, where, mistakes)
    with mistakes:
        property_values.check_addresses(properties, ids or frozenset(), where)
    device = property_values.vf_device(vf, where, mistakes)
    with mistakes:
        property_values.check_name(device, ids or frozenset(), where)
    return properties, device


def check_alike(pf: PfName, vfs: tuple[VfSpec, ...], where: str) -> None:
    """Refuse addresses that several PFs of a selector cannot share.

    The same base gives VFs of different PFs the same addresses; a hash does not, as it includes the PF.
    """
    if isinstance(pf, str) or not pf.all:
        return
    for name in [vf.device.name for vf in vfs if vf.device.name]:
        raise BadInputError(f"{where}.pf.all: name {name} cannot be given to VFs of several PFs; name each PF")
    given = [vf for vf in vfs if vf.properties]
    if not given:
        return
    from .._model import addresses

    for vf in given:
        for name in _properties.ADDRESSES:
            value = getattr(vf.properties, name)
            if value and value != addresses.HASH:
                more = f", or give '{addresses.HASH}'" if name == "mac" else ""
                raise BadInputError(
                    f"{where}.pf.all: {name} {value} cannot be given to VFs of several PFs; name each PF{more}"
                )
