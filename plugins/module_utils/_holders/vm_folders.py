# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of stopped VMs in other folders than libvirt's own.

Those of Proxmox VE, and those that an operator names, such as of a libvirt in a container's volume. Formats:
pve.proxmox.com/wiki/Manual:_qm.conf, "hostpci"; pve-docs, "Resource Mapping".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .._model.errors import KernelError, RefusedError
from .._model.paths import PCI_ADDRESS, VM_FOLDERS
from .._model.values import shown
from .._system.sysfs import Sysfs
from . import domains
from .domains import Domain

PROXMOX, MAPPINGS = "/etc/pve/qemu-server", "/etc/pve/mapping/pci.cfg"
HOSTNAME = "/proc/sys/kernel/hostname"
_DEVICE = re.compile(r"hostpci\d{1,2}:\s*(?P<words>\S+)", re.ASCII)
_FUNCTION = re.compile(rf"{PCI_ADDRESS}|[0-9a-f]{{4,}}:[0-9a-f]{{2}}:[01][0-9a-f]", re.ASCII)
"""An address, whose function may be left out for all of them."""


def read(sysfs: Sysfs) -> list[Domain]:
    """VMs that are only defined, in these folders.

    Raises `RefusedError` for a folder that is not there, and for a file that cannot be understood: nobody's VF may be
    overlooked.
    """
    found: list[Domain] = []
    for folder in (PROXMOX, *_named(sysfs)):
        for name in sysfs.names(folder):
            path = f"{folder}/{name}"
            if name.endswith(".xml"):
                found += [domains.parse_domain(path, text) for text in _text(sysfs, path)]
            elif name.endswith(".conf"):
                found += [_proxmox(sysfs, path, text) for text in _text(sysfs, path)]
    return found


def _named(sysfs: Sysfs) -> Iterator[str]:
    if not sysfs.exists(VM_FOLDERS):
        return
    for line in filter(None, map(str.strip, sysfs.read(VM_FOLDERS).split("\n"))):
        if line.startswith("#") or line in (PROXMOX, domains.DEFINED):
            continue
        if not line.startswith("/") or not sysfs.exists(line):
            raise RefusedError(f"{VM_FOLDERS}: {shown(line)} is no folder of this host: mount it, or take the line out")
        yield line


def _text(sysfs: Sysfs, path: str) -> Iterator[str]:
    """The file's text; nothing for one that went away."""
    try:
        yield sysfs.read(path)
    except KernelError as error:
        if sysfs.exists(path):
            raise error


def _proxmox(sysfs: Sysfs, path: str, text: str) -> Domain:
    """A VM of Proxmox VE; sections behind the first are snapshots."""
    current = re.split(r"^\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    name = path.rpartition("/")[2][: -len(".conf")]
    addresses: set[str] = set()
    for line in current.split("\n"):
        if device := _DEVICE.match(line):
            addresses |= set(_addresses(sysfs, path, device["words"]))
    return Domain(name, addresses=frozenset(addresses), kind="Proxmox VM")


def _addresses(sysfs: Sysfs, path: str, words: str) -> Iterator[str]:
    """Addresses of ``[host=]ADDRESS[;ADDRESS],..`` or ``mapping=NAME,..``."""
    options = dict(part.partition("=")[::2] for part in words.split(","))
    if "mapping" in options:
        yield from _mapped(sysfs, options["mapping"])
        return
    hosts = options.get("host", words.split(",")[0])
    for one in hosts.split(";"):
        yield from _functions(path, one)


def _functions(path: str, text: str) -> Iterator[str]:
    address = text.lower() if text.count(":") == 2 else f"0000:{text.lower()}"
    if not _FUNCTION.fullmatch(address):
        raise RefusedError(f"{path} has the device {shown(text)}, so it may be about any VF: repair or remove it")
    yield from [address] if "." in address else [f"{address}.{function}" for function in range(8)]


def _mapped(sysfs: Sysfs, name: str) -> Iterator[str]:
    """Addresses of a resource mapping on this node."""
    if not sysfs.exists(MAPPINGS):
        return
    node = sysfs.read(HOSTNAME).partition(".")[0] if sysfs.exists(HOSTNAME) else ""
    section = ""
    for line in sysfs.read(MAPPINGS).split("\n"):
        if line and not line[0].isspace():
            section = line.strip()
        elif section == name and line.strip().startswith("map "):
            options = _options(line.strip()[4:])
            if not node or options.get("node", node) == node:
                for one in options.get("path", "").split(";"):
                    yield from _functions(MAPPINGS, one)


def _options(words: str) -> Mapping[str, str]:
    return dict(part.partition("=")[::2] for part in words.split(","))
