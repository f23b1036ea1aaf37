# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of libvirt's domains, running and defined ones, from libvirt's files.

Not through libvirt: a question to it starts its daemon, and with it the domains marked autostart, perhaps before their
VFs are there. At boot this is read before libvirt may run, and its Python binding need not be installed. Formats:
`_tools.domain_xml`, and libvirt.org/formatnetwork.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from .._model.errors import BadInputError, KernelError, RefusedError
from .._system.sysfs import Sysfs
from .._tools import bounded_xml, domain_xml

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
    """Parse a domain's XML, or its status."""
    try:
        found = domain_xml.parse(text)
    except BadInputError as error:
        raise _broken(path, str(error)) from error
    return Domain(found.name, found.pid, found.addresses, found.netdevs, found.networks)


def parse_network(path: str, text: str) -> tuple[str, Pool]:
    """Name and pool of a network's XML or status (root ``networkstatus``).

    The pool is empty for a network of another kind.
    """
    try:
        name, pool = _network(bounded_xml.parse(text, "network", "networkstatus"))
    except BadInputError as error:
        raise _broken(path, str(error)) from error
    return name or path, pool


def _network(root: Element) -> tuple[str, Pool]:
    network = root.find("network") if root.tag == "networkstatus" else root
    if network is None:
        raise BadInputError("it has no network")
    forward = network.find("forward[@mode='hostdev']")
    if forward is None:
        return network.findtext("name") or "", Pool()
    pfs = frozenset(item.get("dev", "") for item in forward.findall("pf"))
    return network.findtext("name") or "", Pool(frozenset(domain_xml.addresses(forward.findall("address"))), pfs)


def _files(sysfs: Sysfs, folder: str) -> Iterator[tuple[str, str]]:
    for name in sysfs.names(folder):
        if name.endswith(".xml"):
            path = f"{folder}/{name}"
            try:
                yield path, sysfs.read(path)
            except KernelError as error:
                if sysfs.exists(path):
                    raise error


def _broken(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path} cannot be understood ({why}), so it may be about any VF: repair or remove it")
