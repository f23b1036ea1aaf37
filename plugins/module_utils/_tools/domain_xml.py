# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt domain's XML as values: identity, and uses of the host.

Of live XML, of definitions, and of states in /run (root ``domstatus``). Formats: libvirt.org/formatdomain.html; in
/run the same, wrapped with the state (src/conf/domain_conf.c, virDomainObjFormat). `whole_domain` reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .._model.errors import BadInputError
from . import bounded_xml

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
LARGEST = {"domain": 0xFFFFFFFF, "bus": 0xFF, "slot": 0x1F, "function": 7}
"""Largest parts of a PCI address."""


@dataclass(frozen=True)
class Domain:
    """A domain, as its XML says.

    ``pid``: of its QEMU, 0 where the XML has none. ``addresses``: PCI addresses of the host that it refers to anywhere;
    ``netdevs``: interfaces under macvtap; ``networks``: names of those that may give it a device.
    """

    name: str
    uuid: str = ""
    pid: int = 0
    addresses: frozenset[str] = frozenset()
    netdevs: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()


def parse(text: str) -> Domain:
    """Parse a domain's XML, or its status; raises `BadInputError`."""
    return of(*split(text))


def split(text: str) -> tuple[Element, int, bool]:
    """Element of a domain, process id, and whether it runs.

    The status has the pid, and what a network really gave the domain. Raises `BadInputError` with what is wrong.
    """
    root = bounded_xml.parse(text, "domain", "domstatus")
    if root.tag == "domain":
        return root, 0, root.get("id") is not None
    domain = root.find("domain")
    if domain is None:
        raise BadInputError("it has no domain")
    return domain, _number(root, "pid", 1 << 31), True


def of(domain: Element, pid: int, running: bool) -> Domain:
    """Identity and uses of a domain's element.

    Every PCI address below a ``<source>`` is a device of the host; the guest's own addresses are no child of it.
    """
    name, uuid = domain.findtext("name") or "", (domain.findtext("uuid") or "").strip().lower()
    if not name:
        raise BadInputError("it has no name")
    if uuid and not UUID.fullmatch(uuid):
        raise BadInputError(f"uuid: {uuid[:40]!r} is none")
    interfaces = domain.findall("devices/interface")
    given = [one for one in interfaces if one.get("type") == "network" and not (running and len(one.findall("actual")))]
    direct = [one for one in (*interfaces, *domain.findall("devices/interface/actual")) if one.get("type") == "direct"]
    return Domain(
        name, uuid, pid, frozenset(addresses(domain.findall("devices//source/address"))),
        frozenset(_sources(direct, "dev")), frozenset(_sources(given, "network")),
    )  # fmt: skip


def addresses(items: Iterable[Element]) -> Iterator[str]:
    """PCI addresses among ``items``; those of USB and SCSI have no slot."""
    for item in items:
        if item.get("type", "pci") == "pci" and item.get("slot") is not None:
            domain, bus, slot, function = (_number(item, key, most) for key, most in LARGEST.items())
            yield f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _number(item: Element, key: str, most: int) -> int:
    """Parse a number, hexadecimal with 0x as libvirt writes it, or decimal."""
    text = item.get(key, "0")
    try:
        number = int(text, 0) if len(text) <= 20 else -1
    except ValueError as error:
        raise BadInputError(f"{key}: {error}") from error
    if not 0 <= number <= most:
        raise BadInputError(f"{key}: {text[:40]!r} is not between 0 and {most}")
    return number


def _sources(interfaces: Iterable[Element], key: str) -> Iterator[str]:
    for interface in interfaces:
        source = interface.find("source")
        if source is not None and source.get(key):
            yield source.get(key, "")
