# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt domain's XML as values: identity, devices of the host, disks.

Of live XML, of definitions, and of states in /run (root ``domstatus``). Formats: libvirt.org/formatdomain.html; in
/run the same, wrapped with the state (src/conf/domain_conf.c, virDomainObjFormat).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, tostring

from .._model.errors import BadInputError
from . import bounded_xml, domain_disks
from .domain_disks import Disk

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
UNITS = {"b": 1, "bytes": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30,
         "t": 1 << 40, "tib": 1 << 40, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}  # fmt: skip
PCI, OTHER = "pci", "other"
LARGEST = {"domain": 0xFFFFFFFF, "bus": 0xFF, "slot": 0x1F, "function": 7}


@dataclass(frozen=True)
class HostDevice:
    """A device of the host that a domain has.

    ``element``: hostdev, interface or disk; ``kind``: of the hostdev (pci, usb, mdev and the like); ``address``: on the
    host, empty for all but PCI; ``managed``: libvirt binds drivers; ``xml``: the element, which attaches it again.
    """

    element: str
    kind: str
    address: str
    alias: str
    managed: bool
    xml: str


@dataclass(frozen=True)
class Domain:
    """A domain, as its XML says.

    ``pid``: of its QEMU, 0 where the XML has none; ``hypervisor``: kvm, qemu or another. ``host_devices``: all of them;
    ``addresses``: PCI addresses of the host that it refers to anywhere; ``netdevs``: interfaces under macvtap;
    ``networks``: names of those that give it a device. ``images``: what it may write to beside its disks. ``devices``:
    tag and type, or model, of each device.
    """

    name: str
    uuid: str = ""
    pid: int = 0
    hypervisor: str = ""
    memory_bytes: int = 0
    host_devices: tuple[HostDevice, ...] = ()
    addresses: frozenset[str] = frozenset()
    netdevs: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    disks: tuple[Disk, ...] = ()
    images: tuple[str, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> Domain:
    """Parse a domain's XML, or its status.

    The status has the pid, and what a network really gave the domain. Every PCI address below a ``<source>`` is a
    device of the host; the guest's own addresses are no child of it. Raises `BadInputError` with what is wrong.
    """
    root = bounded_xml.parse(text, "domain", "domstatus")
    if root.tag == "domain":
        return _domain(root, running=root.get("id") is not None)
    domain = root.find("domain")
    if domain is None:
        raise BadInputError("it has no domain")
    return replace(_domain(domain, running=True), pid=_number(root, "pid", 1 << 31))


def _domain(domain: Element, running: bool) -> Domain:
    name, uuid = domain.findtext("name") or "", (domain.findtext("uuid") or "").strip().lower()
    if not name:
        raise BadInputError("it has no name")
    if uuid and not UUID.fullmatch(uuid):
        raise BadInputError(f"uuid: {uuid[:40]!r} is none")
    interfaces = domain.findall("devices/interface")
    given = [item for item in interfaces if item.get("type") == "network" and (not running or _gives(item))]
    actual = [*interfaces, *domain.findall("devices/interface/actual")]
    nvram = domain.find("os/nvram")
    return Domain(
        name=name,
        uuid=uuid,
        hypervisor=domain.get("type", ""),
        memory_bytes=_memory(domain.find("memory")),
        host_devices=tuple(_host_devices(domain)),
        addresses=frozenset(_addresses(domain.findall("devices//source/address"))),
        netdevs=frozenset(_sources((item for item in actual if item.get("type") == "direct"), "dev")),
        networks=frozenset(_sources(given, "network")),
        disks=tuple(domain_disks.parse(item) for item in domain.findall("devices/disk")),
        images=tuple(_nvram(nvram)) if nvram is not None else (),
        devices=tuple((item.tag, item.get("type") or item.get("model") or "") for item in domain.findall("devices/*")),
    )


def _gives(interface: Element) -> bool:
    """Whether an interface of a running domain may still be a network's."""
    return interface.find("actual") is None


def _host_devices(domain: Element) -> Iterator[HostDevice]:
    for item in domain.findall("devices/hostdev"):
        yield _host_device(item, item, item.get("type", OTHER))
    for item in domain.findall("devices/interface"):
        actual = item.find("actual")
        shown = item if actual is None else actual
        if shown.get("type") == "hostdev":
            yield _host_device(item, shown, PCI)
    for item in domain.findall("devices/disk[@type='nvme']"):
        source = item.find("source")
        yield _host_device(item, item if source is None else source, PCI)


def _host_device(item: Element, shown: Element, kind: str) -> HostDevice:
    address = next(_addresses(item.findall(".//source/address")), "") if kind == PCI else ""
    alias = item.find("alias")
    name = "" if alias is None else alias.get("name", "")
    return HostDevice(item.tag, kind, address, name, shown.get("managed") == "yes", _text(item))


def _text(item: Element) -> str:
    """An element as text that libvirt reads again."""
    tail, item.tail = item.tail, None
    try:
        return tostring(item, encoding="unicode").strip()
    finally:
        item.tail = tail


def _memory(item: Element | None) -> int:
    if item is None:
        return 0
    text, unit = (item.text or "").strip(), item.get("unit", "KiB").lower()
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) or unit not in UNITS:
        raise BadInputError(f"memory: {text[:40]!r} {unit[:10]!r} is no size")
    return int(text) * UNITS[unit]


def _nvram(item: Element) -> Iterator[str]:
    source = item.find("source")
    path = (item.text or "").strip() if source is None else domain_disks.name(item.get("type", "file"), source)
    if path:
        yield path


def _addresses(items: Iterable[Element]) -> Iterator[str]:
    """PCI addresses among ``items``; those of USB and SCSI have no slot."""
    for item in items:
        if item.get("type", PCI) == PCI and item.get("slot") is not None:
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
