# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of declared values, and the row of the property table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple

from . import addresses, interface_names
from .errors import BadInputError
from .link import ETHER, INFINIBAND
from .values import flag, number, shown, whole_of

ENABLED, PRESENT, PF = "enabled VFs", "present VFs", "PF"
"""The owner of a property.

The PF's driver keeps properties of enabled VFs; present VFs have theirs as devices of their own.
"""

Entry = Mapping[str, Any]
"""An entry of vfinfo_list in the JSON of `ip`."""


class Kind:
    """A kind of value: check, word for `ip`, reading from `ip`."""

    def check(self, value: object, where: str) -> Any:  # noqa: ANN401 - a value of the kind
        """``value`` if valid, else `BadInputError`.

        The error names the key's path ``where`` and the allowed values.
        """
        raise NotImplementedError

    def word(self, value: object) -> str:
        """The value as a word of a command."""
        return str(value)

    def read(self, shown: Any) -> Any:  # noqa: ANN401 - JSON
        """The value in the JSON of `ip`, None for an unknown one."""
        raise NotImplementedError


@dataclass(frozen=True)
class Flag(Kind):
    """True or false; ``on`` and ``off`` in commands."""

    def check(self, value: object, where: str) -> bool:
        return flag(value, where)

    def word(self, value: object) -> str:
        return "on" if value else "off"

    def read(self, shown: object) -> bool | None:
        """``true`` or ``false``; ``"on"`` or ``"off"`` in some versions."""
        if shown is True or shown == "on":
            return True
        return False if shown is False or shown == "off" else None


@dataclass(frozen=True)
class Choice(Kind):
    """One of several words.

    They are in the order of the kernel's numbers for them.
    """

    choices: tuple[str, ...]

    def check(self, value: object, where: str) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise BadInputError(f"{where}: {shown(value)} is not one of {', '.join(self.choices)}")
        return str(value)

    def read(self, shown: object) -> str | None:
        """The word, or the kernel's number, which older versions print."""
        numbers = {str(number): choice for number, choice in enumerate(self.choices)}
        text = str(shown).lower()
        return text if text in self.choices else numbers.get(text)


@dataclass(frozen=True)
class Number(Kind):
    """A whole number from ``low`` to ``high``.

    Where ``derived``, it may be a base to which the VF's id is added (`addresses.PLUS_ID`).
    """

    low: int
    high: int
    derived: bool = False

    def check(self, value: object, where: str) -> int | str:
        if self.derived and isinstance(value, str) and value.strip().lower().endswith(addresses.PLUS_ID):
            base = number(value.strip()[: -len(addresses.PLUS_ID)], max(self.low, 1), self.high, where)
            return f"{base}{addresses.PLUS_ID}"
        return number(value, self.low, self.high, where)

    def read(self, shown: object) -> int | None:
        """The number; `ValueError` for what is none, as `ip` shows none such."""
        # a bool is an int, too
        return shown if type(shown) is int else whole_of(shown)  # pylint: disable=unidiomatic-typecheck


@dataclass(frozen=True)
class Address(Kind):
    """A MAC address of 6 or a GUID of 8 octets.

    It may be derived from the VF's id (`addresses`), where ``hashed`` from the PF's address as well.
    """

    octets: int
    hashed: bool = False

    def check(self, value: object, where: str) -> str:
        return addresses.validate(value, self.octets, where, hashed=self.hashed)

    def read(self, shown: object) -> str | None:
        return str(shown).lower() or None


@dataclass(frozen=True)
class InterfaceName(Kind):
    """A name of a network interface; its base where derived."""

    def check(self, value: object, where: str) -> str:
        return interface_names.validate(value, where)

    def read(self, shown: object) -> str | None:
        return str(shown) or None


class Property(NamedTuple):
    """One row of the property table; omitted columns have their defaults.

    ``doc``: one line of documentation, with ``{vf}`` before the names of other properties that it refers to.
    ``default``: what every driver starts with, None where drivers differ. ``needs``: the property without which it can
    only have its default; ``at_most``: the one that it must not exceed.

    Of properties of enabled VFs: ``attribute`` names the netlink attribute, of which all are set where one changes (its
    own name); ``word`` and ``unsaid``, its word in the command (its name), and whether its default goes without saying;
    ``shown``, its key in an entry of vfinfo_list (its name), or a function of the entry, and ``omitted``, whether that
    leaves the default out; ``always_reported``, whether the kernel reports it for drivers that do not know it
    (net/core/rtnetlink.c, rtnl_fill_vfinfo); ``links``, the kinds of interfaces whose VFs can have it (for InfiniBand:
    drivers/infiniband/ulp/ipoib/ipoib_main.c, ipoib_netdev_ops_pf).

    ``column`` of `sriovctl status`, empty for none, and ``label``, its text there (name and value).
    """

    name: str
    of: str
    kind: Kind
    doc: str
    default: Any = None
    needs: str = ""
    at_most: str = ""
    attribute: str = ""
    word: str = ""
    unsaid: bool = False
    shown: str | Callable[[Entry], Any] = ""
    omitted: bool = False
    always_reported: bool = False
    links: tuple[str, ...] = (ETHER,)
    column: str = "FLAGS"
    label: str = ""

    def said(self, entry: Entry) -> Any:  # noqa: ANN401 - JSON
        """What ``entry`` has of it, None for nothing."""
        return self.shown(entry) if callable(self.shown) else entry.get(self.shown or self.name)

    def read(self, entry: Entry) -> Any:  # noqa: ANN401 - a value of its kind
        """The value in ``entry``, None where it is not reported."""
        shown = self.said(entry)
        if shown is None:
            return self.default if self.omitted else None
        return self.kind.read(shown)

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """Words of `ip link set` for this property.

        ``values`` are all those that the VF is to have in the end.
        """
        value = values.get(self.name)
        if value is None or (self.needs and not values.get(self.needs)):
            value = self.default
        return [] if self.unsaid and value == self.default else [self.word or self.name, self.kind.word(value)]


def mac_of(entry: Entry) -> object:
    """The MAC address of a VF, None for InfiniBand."""
    return None if entry.get("link_type") == INFINIBAND else entry.get("address", entry.get("mac"))


def of_tag(key: str) -> Callable[[Entry], Any]:
    return lambda entry: (entry.get("vlan_list") or [entry])[0].get(key)


def of_rate(key: str) -> Callable[[Entry], Any]:
    return lambda entry: entry.get("rate", {}).get(key)


def values_of(rows: Iterable[Property], entry: Entry) -> list[Any]:
    """The value in ``entry`` of each row."""
    return [row.read(entry) for row in rows]


def words_of(rows: Iterable[Property], values: Mapping[str, Any]) -> list[str]:
    """The words of `ip link set` of all rows."""
    return [word for row in rows for word in row.words(values)]
