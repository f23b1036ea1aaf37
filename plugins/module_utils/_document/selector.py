# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of PFs: PCI address, network interface, or selector by facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Union

from .._model import yaml_traps
from .._model.errors import BadInputError
from .._model.state import FACTS, PfState
from .._model.values import flag, number, shown
from . import shape

KEYS = (*FACTS, "driver", "netdev", "not", "index", "all")

CLASSES = {
    "network": "02", "ethernet": "0200", "infiniband": "0207", "nvme": "010802", "display": "03",
    "coprocessor": "0b40", "accelerator": "12",
}  # fmt: skip
"""Names for the beginnings of PCI class codes.

PCI Code and ID Assignment Specification.
"""

NETWORK = "0x02"

_FORMS = "it like '0000:3b:00.0', in quotes, or {driver: ice, index: 0}"
_ID = r"(?:0x)?([0-9a-f]{4})"
_CLASS = r"(?:0x)?([0-9a-f]{2}|[0-9a-f]{4}|[0-9a-f]{6})"


@dataclass(frozen=True)
class Selector:
    """A selector of PFs by the ``wanted`` facts.

    It designates the only PF with all of them, the one at place ``index`` in the order of addresses, or ``all``. Ids
    are as in sysfs (``0x8086``), ``class`` is the beginning of one (``0x02``), ``netdev`` may be a glob. PFs that an
    ``excluded`` one matches do not count, nor do those that it may match once they have a driver or an interface.
    """

    wanted: tuple[tuple[str, str | int], ...] = ()
    index: int | None = None
    all: bool = False
    excluded: tuple[Selector, ...] = ()

    def __str__(self) -> str:
        """The selector as YAML in one line."""
        return _flow(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        index = {} if self.index is None else {"index": self.index}
        excluded = {"not": [one.to_dict() for one in self.excluded]} if self.excluded else {}
        return {**dict(self.wanted), **excluded, **index, **({"all": True} if self.all else {})}

    @property
    def facts(self) -> frozenset[str]:
        """Names of the selector's facts among `state.FACTS`."""
        mine = frozenset(name for name, _value in self.wanted if name in FACTS)
        more = frozenset(("class",)) if self.excluded else frozenset[str]()  # it tells who may get an interface
        return mine.union(more, *(one.facts for one in self.excluded))

    def matches(self, pf: PfState) -> bool:
        """Whether ``pf``, whose `facts` were read, is meant."""
        return self._has_all(pf) and not any(one.matches(pf) or one.may_match_later(pf) for one in self.excluded)

    def _has_all(self, pf: PfState) -> bool:
        have, netdevs = values(pf), pf.netdevs or (pf.netdev,)
        return all(
            any(one is not None and fnmatchcase(one, str(wanted)) for one in netdevs)
            if name == "netdev"
            else _is(name, wanted, have.get(name))
            for name, wanted in self.wanted
        )

    def may_match_later(self, pf: PfState) -> bool:
        """Whether only a missing driver or interface keeps ``pf`` from matching.

        Its driver may still give it an interface.
        """
        may_have_netdev = str(pf.facts.get("class", NETWORK)).startswith(NETWORK)
        late = {"driver"} if pf.driver is None else set()
        late |= {"netdev", "mac"} if pf.netdev is None and may_have_netdev else set()
        rest = tuple((name, wanted) for name, wanted in self.wanted if name not in late)
        if any(one.matches(pf) for one in self.excluded) or not Selector(rest).matches(pf):
            return False
        return rest != self.wanted or any(one.may_match_later(pf) for one in self.excluded)


PfName = Union[str, Selector]


def validate(data: object, where: str) -> PfName:
    """The name or the selector in ``data``.

    Raises `BadInputError` with all mistakes, each naming the key's path, the value and the fix.
    """
    if isinstance(data, str):
        return shape.pf_name(data, where)
    if data is None:
        raise BadInputError(f"{where} is missing; write {_FORMS}")
    if not isinstance(data, Mapping):
        meant = yaml_traps.pci_address(data)
        raise BadInputError(
            f"{where}: {yaml_traps.quoted(data, meant)}" if meant
            else f"{where}: {shown(data)} is not a PCI address, an interface name or a selector; write {_FORMS}"
        )  # fmt: skip
    mistakes = shape.Mistakes()
    given = shape.mapping(data, where, KEYS, mistakes)
    mistakes.raise_found()
    if not given:
        raise BadInputError(f"{where}: a selector needs one of the keys {', '.join(KEYS)}")
    found: dict[str, Any] = {name: mistakes.read(given, name, where, READERS[name]) for name in KEYS if name in given}
    mistakes.raise_found()
    index, every, excluded = found.pop("index", None), bool(found.pop("all", False)), found.pop("not", ())
    if every and index is not None:
        raise BadInputError(f"{where}: index is for one PF, all for several; keep one of them")
    return Selector(tuple(found.items()), index, every, excluded)


def from_text(text: str) -> PfName:
    """A name or selector on a command line, like ``driver=ice,index=0``."""
    if "=" not in text:
        return validate(text, "PF")
    pairs = [part.partition("=") for part in text.split(",")]
    words = {"true": True, "false": False}
    return validate({key.strip(): words.get(value, value) for key, _equals, value in pairs}, f"PF {shown(text)}")


def facts_of(names: Iterable[PfName]) -> frozenset[str]:
    """Names of the `state.FACTS` needed to find these PFs."""
    return frozenset().union(*(name.facts for name in names if isinstance(name, Selector)))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        hint = "; put quotes around hexadecimal digits" if isinstance(value, int) else ""
        raise BadInputError(f"{where}: {shown(value)} is not a text{hint}")
    return value.strip()


def _name(value: object, where: str) -> str:
    """The name of a driver or interface, or a glob."""
    text = _text(value, where)
    if not shape.is_interface_name(text):
        raise BadInputError(f"{where}: {shown(value)} is no name: it has blanks, '/' or ':', or is too long")
    return text


def _id(value: object, where: str) -> str:
    text = _text(value, where)
    found = re.fullmatch(_ID, text.lower())
    if not found:
        what = f"{shown(text)} is not a PCI id"
        raise BadInputError(f"{where}: {what}; write four hexadecimal digits in quotes, like '8086'")
    return f"0x{found.group(1)}"


def _class(value: object, where: str) -> str:
    text = _text(value, where)
    found = re.fullmatch(_CLASS, CLASSES.get(text, text.lower()))
    if not found:
        raise BadInputError(
            f"{where}: {shown(text)} is not a PCI class; write two, four or six hexadecimal digits in quotes, like "
            f"'0200', or one of {', '.join(CLASSES)}"
        )
    return f"0x{found.group(1)}"


def _numa_node(value: object, where: str) -> int:
    return number(value, -1, None, where)


def _mac(value: object, where: str) -> str:
    """A MAC address of an interface, in lower case."""
    from .._model import addresses

    text = addresses.validate(value, 6, where)
    if addresses.is_derived(text):
        raise BadInputError(f"{where}: {shown(value)} is not the address of an interface; leave '+id' out")
    return text


def _index(value: object, where: str) -> int:
    return number(value, 0, None, where)


def _excluded(value: object, where: str) -> tuple[Selector, ...]:
    """The selectors under ``not``, one or a list."""
    several = isinstance(value, (list, tuple))
    mistakes = shape.Mistakes()
    found: list[Selector] = []
    for place, one in enumerate(shape.items(value, where) if several else [value]):
        with mistakes:
            found.append(_one_excluded(one, f"{where}[{place}]" if several else where))
    mistakes.raise_found()
    return tuple(found)


def _one_excluded(value: object, where: str) -> Selector:
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where}: {shown(value)} is not a mapping; write facts of the PFs to leave out")
    one = validate(value, where)
    if isinstance(one, str) or one.all or one.index is not None or one.excluded or not one.wanted:
        raise BadInputError(f"{where}: it takes facts of PFs alone, such as {{netdev: eth0}}")
    return one


def _flow(value: object) -> str:
    """YAML in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


READERS: dict[str, Callable[[object, str], Any]] = {
    **dict.fromkeys(("vendor", "device", "subsystem_vendor", "subsystem_device"), _id),
    "class": _class, "numa_node": _numa_node, "mac": _mac, "driver": _name, "netdev": _name, "not": _excluded,
    "index": _index, "all": flag,
}  # fmt: skip


def values(pf: PfState) -> dict[str, Any]:
    """The known facts of a PF that selectors match."""
    return {**pf.facts, "driver": pf.driver, "netdev": pf.netdev}


def _is(name: str, wanted: str | int, value: str | int | None) -> bool:
    return str(value).startswith(str(wanted)) if name == "class" else value == wanted
