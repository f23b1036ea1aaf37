# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt domain with its devices: the host's, disks, and all others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

from .._model.errors import BadInputError
from . import domain_disks, domain_xml
from .domain_disks import Disk
from .domain_xml import Domain

UNITS = {"b": 1, "bytes": 1, "k": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gib": 1 << 30,
         "t": 1 << 40, "tib": 1 << 40, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}  # fmt: skip
PCI, OTHER = "pci", "other"


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
class WholeDomain(Domain):
    """A domain with its devices.

    ``hypervisor``: kvm, qemu or another. ``host_devices``: all of them; ``images``: what it may write to beside its
    disks; ``devices``: tag and type, or model, of each device.
    """

    hypervisor: str = ""
    memory_bytes: int = 0
    host_devices: tuple[HostDevice, ...] = ()
    disks: tuple[Disk, ...] = ()
    images: tuple[str, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> WholeDomain:
    """Parse a domain's XML, or its status; raises `BadInputError`."""
    domain, pid, running = domain_xml.split(text)
    used = domain_xml.of(domain, pid, running)
    nvram = domain.find("os/nvram")
    return WholeDomain(
        used.name, used.uuid, pid, used.addresses, used.netdevs, used.networks, domain.get("type", ""),
        _memory(domain.find("memory")), tuple(_host_devices(domain)),
        tuple(domain_disks.parse(item) for item in domain.findall("devices/disk")),
        tuple(_nvram(nvram)) if nvram is not None else (),
        tuple((item.tag, item.get("type") or item.get("model") or "") for item in domain.findall("devices/*")),
    )  # fmt: skip


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
    address = next(domain_xml.addresses(item.findall(".//source/address")), "") if kind == PCI else ""
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
