# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators' checks of VFs after a live update. Pure.

Nothing of a QEMU shows that a guest's driver has found its VF, or that traffic passes it: how that is seen is the
operator's choice, per VM.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._model.errors import BadInputError
from .._model.update_deadlines import LONGEST_CHECK_S, SEEN_S

AGENT, ARP, COMMAND, PING = "agent", "arp", "command", "ping"
KINDS = (AGENT, ARP, COMMAND, PING)
HOST, CONTROLLER = "host", "controller"
PLACES = (CONTROLLER, HOST)
"""Where a ping may come from, the default first."""
KEYS = (*KINDS, "from", "interface", "within_s")
INTERFACE = re.compile(r"[^\s/:]{1,15}")
"""Name of a network interface (dev_valid_name, net/core/dev.c)."""


@dataclass(frozen=True)
class Check:
    """One VM's check.

    ``address``: asked by ping or ARP; ``interface``: of the host, for ARP; ``argv``: a program on the controller, which
    succeeds when the VF works; ``within_s``: seconds from the VM's return, or for checks on the controller from the
    update's end.
    """

    kind: str
    place: str
    address: str = ""
    interface: str = ""
    argv: tuple[str, ...] = ()
    within_s: float = SEEN_S

    def __str__(self) -> str:
        return {
            AGENT: "the guest agent",
            ARP: f"ARP for {self.address} at {self.interface} of the host",
            COMMAND: f"command {self.argv[0] if self.argv else ''} on the controller",
            PING: f"ping of {self.address} from the {self.place}",
        }[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """The check as an operator writes it."""
        what: dict[str, dict[str, Any]] = {
            AGENT: {"agent": True},
            ARP: {"arp": self.address, "interface": self.interface},
            COMMAND: {"command": list(self.argv)},
            PING: {"ping": self.address, "from": self.place},
        }
        return {**what[self.kind], "within_s": self.within_s}


def parse(data: object, where: str) -> Check | None:
    """Parse a check; None for None or nothing at all.

    Members that are None count as missing, as in arguments of a module. Raises `BadInputError` naming the wrong key.
    """
    if data is None or data == {}:
        return None
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {data!r} is no mapping, such as {{ping: 192.0.2.7}}")
    given = {str(key): value for key, value in data.items() if value is not None and value is not False}
    unknown = sorted(set(given) - set(KEYS))
    if unknown:
        raise BadInputError(f"{where}.{unknown[0]}: unknown key; there are {', '.join(KEYS)}")
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        raise BadInputError(f"{where}: give one of {', '.join(KINDS)}, found {' and '.join(kinds) or 'none'}")
    kind = kinds[0]
    for key, owner in (("from", PING), ("interface", ARP)):
        if key in given and kind != owner:
            raise BadInputError(f"{where}.{key}: only with {owner}")
    return _MAKERS[kind](given, where)


def of_host(data: object) -> dict[str, Any]:
    """The check for the manifest: empty when it is not the host's."""
    check = parse(data, "check")
    return check.to_dict() if check is not None and check.place == HOST else {}


def _agent(given: Mapping[str, Any], where: str) -> Check:
    if given[AGENT] is not True:
        raise BadInputError(f"{where}.agent: {given[AGENT]!r} is not true or false")
    return Check(AGENT, HOST, within_s=_within(given, where))


def _arp(given: Mapping[str, Any], where: str) -> Check:
    interface = given.get("interface")
    if not isinstance(interface, str) or not INTERFACE.fullmatch(interface):
        raise BadInputError(f"{where}.interface: {interface!r} is no interface of the host, such as eth0.100")
    address = _address(given[ARP], f"{where}.arp")
    if ipaddress.ip_address(address).version != 4:
        raise BadInputError(f"{where}.arp: {address} is of IPv6, which has no ARP: use ping")
    return Check(ARP, HOST, address, interface, within_s=_within(given, where))


def _command(given: Mapping[str, Any], where: str) -> Check:
    argv = given[COMMAND]
    if not isinstance(argv, (list, tuple)) or not argv or not all(isinstance(word, str) and word for word in argv):
        raise BadInputError(f"{where}.command: {argv!r} is no list of a program and its arguments")
    return Check(COMMAND, CONTROLLER, argv=tuple(argv), within_s=_within(given, where))


def _ping(given: Mapping[str, Any], where: str) -> Check:
    place = given.get("from", CONTROLLER)
    if place not in PLACES:
        raise BadInputError(f"{where}.from: {place!r} is none of {', '.join(PLACES)}")
    return Check(PING, place, _address(given[PING], f"{where}.ping"), within_s=_within(given, where))


_MAKERS = {AGENT: _agent, ARP: _arp, COMMAND: _command, PING: _ping}


def _address(value: object, where: str) -> str:
    """An IP address, which no program can take for an option."""
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError as error:
        raise BadInputError(f"{where}: {value!r} is no IP address") from error


def _within(given: Mapping[str, Any], where: str) -> float:
    value = given.get("within_s", SEEN_S)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LONGEST_CHECK_S:
        raise BadInputError(f"{where}.within_s: {value!r} is no number of seconds above 0, {LONGEST_CHECK_S:g} at most")
    return float(value)
