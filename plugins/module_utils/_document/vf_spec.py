# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs of single VFs, or sets of them, in the host document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._model import properties as _properties
from .._model import vf_device as _vf_device
from .._model import vf_ids
from .._model.errors import BadInputError
from .._model.properties import VfProperties
from .._model.vf_device import VfDevice
from .id_sets import Ids, ids_of, ids_text, resolve_ids
from .shape import mapping

if TYPE_CHECKING:
    from .selector import PfName

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
            from .._model import addresses

            addresses.check_ids(text, ids, f"{where}.{key}")
        return self._replace(ids=ids)

    def to_dict(self) -> dict[str, Any]:
        driver = {} if self.driver is None else {"driver": self.driver}
        return {"ids": ids_text(self.ids), **driver, **self.properties.to_dict(), **self.device.to_dict()}


def validate(data: Iterable[object], pf: PfName, where: str) -> tuple[VfSpec, ...]:
    """The list ``vfs`` of the spec of ``pf``.

    Raises `BadInputError` naming the key's path, the value and the fix.
    """
    vfs = tuple(vf_spec(item, f"{where}.vfs[{index}]") for index, item in enumerate(data))
    _check_overlap(vfs, where)
    check_alike(pf, vfs, where)
    return vfs


def vf_spec(data: object, where: str) -> VfSpec:
    """One entry of ``vfs``, or the same part of a `vf_request`."""
    vf = mapping(data, where, VF_KEYS)
    if "ids" not in vf:
        raise BadInputError(f"{where}.ids is missing; write the VF ids that this is for, such as '0-3' or 'all'")
    ids = ids_of(vf["ids"], f"{where}.ids")
    driver = vf.get("driver")
    if driver is not None and (not isinstance(driver, str) or not driver or "/" in driver or driver != driver.strip()):
        raise BadInputError(f"{where}.driver: {driver!r} is not a driver's name; write 'vfio-pci' or 'default'")
    return VfSpec(ids, driver, *_values(vf, ids, where))


def _values(vf: Mapping[str, Any], ids: Ids, where: str) -> tuple[VfProperties, VfDevice]:
    if not vf.keys() & {*_properties.NAMES, *_vf_device.NAMES}:
        return VfProperties(), VfDevice()
    from . import property_values

    properties = property_values.vf_properties(vf, where)
    property_values.check_addresses(properties, ids, where)
    return properties, property_values.vf_device(vf, where)


def check_alike(pf: PfName, vfs: tuple[VfSpec, ...], where: str) -> None:
    """Refuse addresses that several PFs of a selector cannot share.

    The same base gives VFs of different PFs the same addresses; a hash does not, as it includes the PF.
    """
    if isinstance(pf, str) or not pf.all:
        return
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


def _check_overlap(vfs: tuple[VfSpec, ...], where: str) -> None:
    """Refuse a key that is given twice for one id."""
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
        return ids_text(other) if isinstance(other, str) or other else ""
    return vf_ids.compress(one) if isinstance(other, str) else vf_ids.compress(one & other)
