# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running domains of the system's libvirt, by UUID, with their VFs.

A domain's live XML says what it is; its state file in /run says its process, and is there without a libvirtd too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..._model.errors import BadInputError, DeadlineError, KernelError, SriovError, ToolError
from ..._model.state import PfState
from ..._system.sysfs import Sysfs
from ..._tools import domain_xml
from ..._tools.domain_xml import Domain
from ..._tools.whole_domain import PCI, WholeDomain
from .. import images as _images
from ..assigned import assigned
from ..candidates import control_group, started, unit
from ..images import Image
from ..vm_facts import VmFacts
from . import blocked, refusals, save_format
from . import sessions as _sessions
from .connection import Connection
from .facts import LibvirtFacts, Refused

NAME = "libvirt"
STATES = "/run/libvirt/qemu"
"""Folder of running domains' states, NAME.xml."""
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Names that manifests take; any other domain is called by its UUID."""


def name_of(domain: Domain) -> str:
    """What a domain is called in manifests and reports."""
    return domain.name if SAFE.fullmatch(domain.name) else domain.uuid


def states(sysfs: Sysfs) -> Iterator[Domain]:
    """Running domains by libvirt's files, with their processes.

    A file that nobody can read, or that went away, is left out.
    """
    for name in sysfs.names(STATES):
        if name.endswith(".xml"):
            try:
                domain = domain_xml.parse(sysfs.read(f"{STATES}/{name}"))
            except (KernelError, BadInputError):
                continue
            if domain.pid and sysfs.exists(f"/proc/{domain.pid}"):
                yield domain


def find_live(sysfs: Sysfs, name: str) -> int | None:
    """Process id of the QEMU of domain ``name``, or None."""
    return next((one.pid for one in states(sysfs) if name_of(one) == name), None)


def discover(sysfs: Sysfs, connection: Connection, pfs: Mapping[str, PfState]) -> list[VmFacts]:
    """Read the facts of each running domain.

    One that ends meanwhile is left out. libvirt is not asked where it has no state of any.
    """
    sessions = list(_sessions.discover(sysfs, NAME))
    if not any(name.endswith(".xml") for name in sysfs.names(STATES)):
        return sessions
    known = list(states(sysfs))
    try:
        running = connection.running()
    except (ToolError, DeadlineError) as error:
        return [*(_unanswered(sysfs, one, error) for one in known), *sessions]
    pids, found = {one.uuid: one.pid for one in known}, []
    for uuid in running:
        try:
            found.append(_facts(sysfs, connection, pfs, uuid, pids.get(uuid, 0)))
        except (ToolError, KernelError):
            if uuid in connection.running():
                raise
    need = sum(refusals.room(vm.memory_bytes) for vm in found)
    return [*(replace(vm, detail=replace(LibvirtFacts.of(vm), need=need)) for vm in found), *sessions]


def images(sysfs: Sysfs, domain: WholeDomain) -> list[Image]:
    """Find all images of a domain: chains of its disks, firmware variables."""
    return [_images.find(sysfs, name) for name in image_names(domain)]


def image_names(domain: WholeDomain) -> list[str]:
    """Names of a domain's images, each once."""
    return list(dict.fromkeys([*(name for disk in domain.disks for name in disk.images), *domain.images]))


def _facts(sysfs: Sysfs, connection: Connection, pfs: Mapping[str, PfState], uuid: str, pid: int) -> VmFacts:
    domain, info = connection.live(uuid), connection.info(uuid)
    found = images(sysfs, domain)
    addresses = [one.address for one in domain.host_devices if one.kind == PCI]
    vfs, others = assigned(sysfs, pfs, addresses)
    detail = LibvirtFacts(
        domain,
        info,
        _room(sysfs),
        sysfs.exists(save_format.path(domain.name)),
        tuple(_images.replaced(sysfs, pid, found)) if pid else (),
        blocked=_blocked(connection, uuid, addresses),
        definition="" if info.persistent else connection.definition(uuid),
    )
    return VmFacts(
        name_of(domain), NAME, pid, started(sysfs, pid) if pid else 0,
        _scope(sysfs, pid) if pid else "", detail, vfs, others, domain.memory_bytes, tuple(found), kept_elsewhere=True,
    )  # fmt: skip


def _unanswered(sysfs: Sysfs, domain: Domain, error: SriovError) -> VmFacts:
    detail = Refused(f"libvirt does not answer: {error}", "start libvirt's daemon (libvirtd, or virtqemud)")
    return VmFacts(name_of(domain), NAME, domain.pid, started(sysfs, domain.pid), "", detail, kept_elsewhere=True)


def _blocked(connection: Connection, uuid: str, addresses: Sequence[str]) -> tuple[str, ...]:
    try:
        return blocked.reasons(connection, uuid, addresses)
    except SriovError as error:
        if uuid not in connection.running():
            raise
        return (f"it does not answer: {error}",)


def _scope(sysfs: Sysfs, pid: int) -> str:
    """A domain's own scope; empty where it is in one with others."""
    found = unit(control_group(sysfs, pid))
    return found if found.endswith(".scope") else ""


def _room(sysfs: Sysfs) -> int:
    try:
        found = os.statvfs(sysfs.real(save_format.FOLDER))
    except OSError as error:
        raise KernelError("read free space of", save_format.FOLDER, error.errno or 0) from error
    return found.f_bavail * found.f_frsize
