# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and notices of converters, and the host document of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import document as _document
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.vf_groups import vf_groups
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import vf_ids
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import PCI_ADDRESS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import shown
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import whole as as_whole

_KEY = re.compile(r"pfs\[0\](?:\.vfs\[0\])?\.(\w+)(?:: | )(.*)", re.DOTALL)
"""Form of an error of `_document.validate`.

For a document with one PF and at most one entry for VFs.
"""

_HIGHEST = 2**32 - 1
"""Numbers of other systems: VFs, VLANs, rates, priorities."""
_ADDRESS = re.compile(PCI_ADDRESS, re.ASCII)
_INTERFACE = re.compile(r"[^\s/:\x00-\x1f\x7f-\x9f]{1,127}")
"""Names that an interface can have (net/core/dev.c, dev_valid_name; ALTIFNAMSIZ), less control characters."""

PfName = Union[str, tuple[tuple[str, Any], ...]]
"""Name of a PF in a document.

A selector is here a tuple of its keys with their values.
"""


@dataclass(frozen=True)
class Setting:
    """A key of the document, for a PF or its VFs ``ids``.

    ``where``: its path in the source.
    """

    pf: PfName
    key: str
    value: Any
    where: str
    ids: frozenset[int] | None = None


@dataclass(frozen=True)
class Notice:
    """A part of the source that is not carried over, and why."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


Item = Union[Setting, Notice]

_Values = dict[str, Setting]
"""Settings by key."""


@dataclass(frozen=True)
class Converter:
    """A source of host documents; ``convert`` becomes the filter of its name.

    ``convert`` takes the source's data as YAML holds it and perhaps ``pfs``, ``labels``, ``host`` by name; it returns
    ``document`` and ``notices``, and raises `BadInputError` naming the path. ``command`` prints the configuration on a
    host; without one it must come from a file. ``documents``: the data is a list, of all documents of the YAML text.
    ``of_host``: the data is what the module `sriov_info` returns of the host's PFs, and nothing else is read.
    """

    source: str
    convert: Callable[..., dict[str, Any]]
    command: tuple[str, ...] = ()
    documents: bool = False
    of_host: bool = False


def assemble(items: Iterable[Item]) -> dict[str, Any]:
    """Assemble items into ``document``, a valid host document, and ``notices``, texts.

    Raises `BadInputError` naming the path for a wrong value, and both paths for settings that contradict each other.
    """
    notices: list[str] = []
    pfs: dict[PfName, tuple[_Values, dict[int, _Values]]] = {}
    for item in items:
        if isinstance(item, Notice):
            notices.append(str(item))
        else:
            _check_name(item)
            own, vfs = pfs.setdefault(item.pf, ({}, {}))
            for values in [own] if item.ids is None else [vfs.setdefault(vf_id, {}) for vf_id in sorted(item.ids)]:
                _put(values, item)
    document = _document.validate({"pfs": [_pf(name, own, vfs) for name, (own, vfs) in pfs.items()]})
    return {"document": document.to_dict(), "notices": list(dict.fromkeys(notices))}


def _put(values: _Values, setting: Setting) -> None:
    first = values.setdefault(setting.key, setting)
    if first.value != setting.value:
        raise BadInputError(
            f"{setting.where}: {shown(setting.value)} contradicts {first.where}: {shown(first.value)}; keep one of them"
        )


def _check_name(setting: Setting) -> None:
    """Raise `BadInputError` for a name that no PF can have."""
    given = [setting.pf] if isinstance(setting.pf, str) else [value for key, value in setting.pf if key == "netdev"]
    for name in given:
        if not _INTERFACE.fullmatch(name) and not _ADDRESS.fullmatch(name):
            raise BadInputError(
                f"{setting.where}: {shown(name[:60])} is neither the name of an interface nor a PCI address"
            )


def selector(every: bool = False, **wanted: str | None) -> PfName:
    """Selector of one PF, or of ``every`` PF, with ``wanted`` facts.

    None is for a fact that does not matter.
    """
    pairs = tuple((key, value) for key, value in wanted.items() if value is not None)
    return (*pairs, ("all", True)) if every else pairs


def pf_text(name: PfName) -> str:
    """Name of a PF for messages."""
    return name if isinstance(name, str) else ", ".join(f"{key} {value}" for key, value in name if key != "all")


def _pf(pf: PfName, own: _Values, vfs: Mapping[int, _Values]) -> dict[str, Any]:
    name = pf if isinstance(pf, str) else dict(pf)
    plain = _plain(own)
    _check({"pf": name, **plain}, own)
    number = plain.get("hardware_vfs")
    for vf_id, values in vfs.items():
        _check({"pf": name, "vfs": [{"ids": [vf_id], **_plain(values)}]}, values)
        if isinstance(number, int) and vf_id >= number:
            where = next(iter(values.values())).where
            raise BadInputError(f"{where}: VF {vf_id} is not among the {number} VFs of {own['hardware_vfs'].where}")
    settings = {vf_id: _plain(values) for vf_id, values in vfs.items()}
    groups = {"vfs": vf_groups(settings, number if isinstance(number, int) else None)} if settings else {}
    return {"pf": name, **plain, **groups}


def _plain(values: _Values) -> dict[str, Any]:
    return {key: setting.value for key, setting in values.items()}


def _check(pf: dict[str, Any], values: _Values) -> None:
    """Raise for values that no document may have, naming the source's path."""
    try:
        _document.validate({"pfs": [pf]})
    except BadInputError as error:
        found = _KEY.fullmatch(str(error))
        key = found.group(1) if found else ""
        source = next(iter(values.values()), None) if key == "pf" else values.get(key)
        if found is None or source is None:
            raise
        raise BadInputError(f"{source.where}: {found.group(2)}") from error


def mapping(data: object, where: str) -> Mapping[str, Any]:
    """``data`` as a mapping with texts as keys; empty for None.

    Raises `BadInputError` for others.
    """
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {shown(data)} is not a mapping")
    return {key if isinstance(key, str) else _key(key): value for key, value in data.items()}


def _key(key: object) -> str:
    """A key of another type, which YAML made of it, as text."""
    return str(key).lower() if isinstance(key, (bool, type(None))) else str(key)


def listing(data: object, where: str) -> list[Any]:
    """``data`` as a list, None as an empty one.

    Raises `BadInputError` for others.
    """
    if data is None:
        return []
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {shown(data)} is not a list")
    return list(data)


def whole(value: object, where: str) -> int:
    """Parse a whole number or its text.

    Raises `BadInputError` for others and for numbers below 0.
    """
    number = as_whole(value)
    if number is None or not 0 <= number <= _HIGHEST:
        raise BadInputError(f"{where}: {shown(value)} is not a whole number from 0 on")
    return number


def number_of_vfs(value: object, where: str) -> int:
    """A number of VFs, before anything is made of each of them.

    Raises `BadInputError` for more than a PF can have.
    """
    number = whole(value, where)
    if number > vf_ids.MAX_VFS:
        raise BadInputError(f"{where}: {number} is out of range: no PF has more than {vf_ids.MAX_VFS} VFs")
    return number


def vf_id(value: object, where: str) -> frozenset[int]:
    """Id of one VF, as the set that a `Setting` takes."""
    return vf_ids.parse(whole(value, where), vf_ids.MAX_VFS, where)


def flag(value: object, where: str) -> bool:
    """Parse a truth value or its text.

    Raises `BadInputError` for others.
    """
    known = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    found = known.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise BadInputError(f"{where}: {shown(value)} is not true or false")
    return found


def mac(value: object, where: str) -> str:
    """A MAC address as it was written.

    YAML 1.1 reads 52:54:00:12:34:56 as a number to the base of 60.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return ":".join(f"{digit:02d}" for digit in _to_base_60(value, 6))
    if not isinstance(value, str):
        raise BadInputError(f"{where}: {shown(value)} is not a MAC address; write it in quotes")
    return value


def name(value: object, where: str) -> str:
    """The name of an interface, which is text.

    YAML 1.1 reads off, 010 or 1_0 as something else, and what was written is gone then.
    """
    if not isinstance(value, str) or not value:
        raise BadInputError(f"{where}: {shown(value)} is not the name of an interface; write it in quotes")
    return value


def pci_address(value: object, where: str) -> str:
    """A PCI address as it was written.

    YAML 1.1 reads 0000:03:00.0 as a number to the base of 60.
    """
    text = str(value)
    if isinstance(value, float) and value >= 0:
        domain, bus, device = _to_base_60(int(value), 3)
        text = f"{domain:04d}:{bus:02d}:{device:02d}.{round(value % 1 * 10)}"
    if not _ADDRESS.fullmatch(text):
        raise BadInputError(f"{where}: {shown(value)} is not a PCI address; write it like '0000:3b:00.0'")
    return text


def _to_base_60(number: int, places: int) -> list[int]:
    """Digits of a number to the base of 60, highest first.

    The highest takes what is too large for the others.
    """
    digits: list[int] = []
    for _place in range(places - 1):
        number, digit = divmod(number, 60)
        digits.insert(0, digit)
    return [number, *digits]
