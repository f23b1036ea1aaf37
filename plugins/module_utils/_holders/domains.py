# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of libvirt's domains, running and defined ones, from libvirt's files.

Not through libvirt: a question to it starts its daemon, and with it the domains marked autostart, perhaps before their
VFs are there. At boot this is read before libvirt may run, and its Python binding need not be installed. Formats:
libvirt.org/formatdomain.html and formatnetwork.html; in /run the same, wrapped with the state (virDomainObjFormat).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from .._model.errors import KernelError, RefusedError
from .._system.sysfs import Sysfs

DEFINED, RUNNING = "/etc/libvirt/qemu", "/run/libvirt/qemu"
NETWORKS = ("/run/libvirt/network", "/etc/libvirt/qemu/networks")
"""Folders of NAME.xml.

A network that is active and changed since counts with both.
"""


@dataclass(frozen=True)
class Domain:
    """A libvirt domain, with the host's devices that it uses.

    ``addresses``: of PCI devices. ``netdevs``: interfaces under macvtap (type='direct'). ``networks``: names. Any may
    be empty. ``pid``: its QEMU, 0 for a domain that is only defined. ``kind``: what defines it, in words.
    """

    name: str
    pid: int = 0
    addresses: frozenset[str] = frozenset()
    netdevs: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    kind: str = "libvirt domain"


@dataclass(frozen=True)
class Pool:
    """Devices of a network with ``<forward mode='hostdev'>``.

    ``addresses``: single devices. ``pfs``: interface names of PFs whose VFs all belong to it.
    """

    addresses: frozenset[str] = frozenset()
    pfs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Libvirt:
    """Domains, running ones first, and pools by network name."""

    domains: tuple[Domain, ...] = ()
    pools: Mapping[str, tuple[Pool, ...]] = field(default_factory=dict)

    def user(self, address: str, netdevs: frozenset[str], pfs: frozenset[str]) -> tuple[str, bool] | None:
        """Holder of the VF, in words, and whether it runs.

        None for a VF that no domain refers to.
        """
        for domain in self.domains:
            by = self._by(domain, address, netdevs, pfs)
            if by is not None:
                return f"{domain.kind} {domain.name} ({'running' if domain.pid else 'defined'}){by}", domain.pid > 0
        return None

    def _by(self, domain: Domain, address: str, netdevs: frozenset[str], pfs: frozenset[str]) -> str | None:
        if address in domain.addresses or netdevs & domain.netdevs:
            return ""
        for network in sorted(domain.networks):
            if any(address in pool.addresses or pfs & pool.pfs for pool in self.pools.get(network, ())):
                return f" through network {network}"
        return None


def read(sysfs: Sysfs, more: Iterable[Domain] = ()) -> Libvirt:
    """Read domains and networks from libvirt's files; ``more``: others that are defined.

    Raises `RefusedError` for a file that is not what libvirt writes: nobody's VF may be overlooked.
    """
    running = [parse_domain(path, text) for path, text in _files(sysfs, RUNNING)]
    defined = [*(parse_domain(path, text) for path, text in _files(sysfs, DEFINED)), *more]
    alive = [domain for domain in running if sysfs.exists(f"/proc/{domain.pid}")]
    pools: dict[str, tuple[Pool, ...]] = {}
    if any(domain.networks for domain in (*alive, *defined)):
        for folder in NETWORKS:
            for path, text in _files(sysfs, folder):
                name, pool = parse_network(path, text)
                pools[name] = (*pools.get(name, ()), pool)
    return Libvirt((*alive, *defined), pools)


def parse_domain(path: str, text: str) -> Domain:
    """Parse a domain's XML, or its status (root ``domstatus``).

    The status has the pid, and what a network really gave the domain. Every PCI address below a ``<source>`` is a
    device of the host: of hostdev, of interfaces (``<actual>`` too), of disks with type='nvme'; the guest's own
    addresses are no child of it.
    """
    root = _root(path, text, "domain", "domstatus")
    domain = root.find("domain") if root.tag == "domstatus" else root
    if domain is None:
        raise _broken(path, "it has no domain")
    pid = _number(path, root, "pid") if root.tag == "domstatus" else 0
    interfaces = domain.findall("devices/interface")
    given = [item for item in interfaces if item.get("type") == "network" and (not pid or item.find("actual") is None)]
    direct = [
        item for item in (*interfaces, *domain.findall("devices/interface/actual")) if item.get("type") == "direct"
    ]
    return Domain(
        domain.findtext("name", path),
        pid,
        frozenset(_addresses(path, domain.findall("devices//source/address"))),
        frozenset(_sources(direct, "dev")),
        frozenset(_sources(given, "network")),
    )


def parse_network(path: str, text: str) -> tuple[str, Pool]:
    """Name and pool of a network's XML or status (root ``networkstatus``).

    The pool is empty for a network of another kind.
    """
    root = _root(path, text, "network", "networkstatus")
    network = root.find("network") if root.tag == "networkstatus" else root
    if network is None:
        raise _broken(path, "it has no network")
    forward = network.find("forward[@mode='hostdev']")
    if forward is None:
        return network.findtext("name", path), Pool()
    pfs = frozenset(item.get("dev", "") for item in forward.findall("pf"))
    return network.findtext("name", path), Pool(frozenset(_addresses(path, forward.findall("address"))), pfs)


def _files(sysfs: Sysfs, folder: str) -> Iterator[tuple[str, str]]:
    for name in sysfs.names(folder):
        if name.endswith(".xml"):
            path = f"{folder}/{name}"
            try:
                yield path, sysfs.read(path)
            except KernelError as error:
                if sysfs.exists(path):
                    raise error


def _root(path: str, text: str, *tags: str) -> Element:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:  # ValueError: what is no UTF-8
        raise _broken(path, f"not XML: {error}") from error
    if root.tag not in tags:
        raise _broken(path, f"its root is {root.tag}")
    return root


def _addresses(path: str, items: Iterable[Element]) -> Iterator[str]:
    """PCI addresses among ``items``; those of USB and SCSI have no slot."""
    for item in items:
        if item.get("type", "pci") == "pci" and item.get("slot") is not None:
            domain, bus, slot, function = (_number(path, item, key) for key in ("domain", "bus", "slot", "function"))
            yield f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"


def _number(path: str, item: Element, key: str) -> int:
    """Parse a number, hexadecimal with 0x as libvirt writes it, or decimal."""
    try:
        return int(item.get(key, "0"), 0)
    except ValueError as error:
        raise _broken(path, f"{key}: {error}") from error


def _sources(interfaces: Iterable[Element], key: str) -> Iterator[str]:
    for interface in interfaces:
        source = interface.find("source")
        if source is not None and source.get(key):
            yield source.get(key, "")


def _broken(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path} cannot be understood ({why}), so it may be about any VF: repair or remove it")
