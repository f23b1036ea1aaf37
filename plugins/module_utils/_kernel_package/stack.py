# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What root file system and uplinks of a host rest on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES, NETDEVS
from .._system.sysfs import Sysfs

MOUNTS = "/proc/self/mountinfo"
ROUTES, ROUTES6 = "/proc/net/route", "/proc/net/ipv6_route"
DM_KINDS = {"LVM-": "lvm", "CRYPT-": "crypt", "mpath-": "multipath"}
"""Beginnings of device mapper's UUIDs (libdevmapper)."""
MAX_DEPTH = 12
UP = ("", "/..", "/../..", "/../../..")
"""Levels above a device at which its driver may be bound."""


@dataclass
class Stack:
    """What something rests on.

    ``kinds``: of lvm, md, crypt, multipath and zfs; ``modules``: kernel modules, each with its user.
    """

    kinds: set[str] = field(default_factory=set)
    modules: dict[str, str] = field(default_factory=dict)


def root(sysfs: Sysfs) -> Stack:
    """Read what the root file system rests on."""
    found = Stack()
    number, kind, source = _root_mount(_text(sysfs, MOUNTS))
    if kind:
        found.modules[kind] = "the root file system"
    if kind == "zfs":
        found.kinds.add("zfs")
    name = sysfs.link(f"/sys/dev/block/{number}") or os.path.basename(os.path.realpath(sysfs.real(source or "/")))
    block(sysfs, name, found, MAX_DEPTH)
    return found


def uplinks(sysfs: Sysfs) -> Stack:
    """Read what the interfaces of the default routes rest on."""
    found = Stack()
    for name in sorted(set(_default_routes(sysfs))):
        _netdev(sysfs, name, found, MAX_DEPTH)
    return found


def _root_mount(text: str) -> tuple[str, str, str]:
    """Number of the device, file system and source of ``/``.

    From mountinfo (proc(5)); empty when unknown.
    """
    last = ("", "", "")
    for line in text.splitlines():
        words, _dash, rest = line.partition(" - ")
        fields, after = words.split(), rest.split()
        if len(fields) > 4 and fields[4] == "/" and len(after) > 1:
            last = (fields[2], after[0], after[1])
    return last


def block(sysfs: Sysfs, name: str, found: Stack, depth: int) -> None:
    """Add what a block device rests on, ``depth`` levels below it."""
    folder = f"{BLOCK_DEVICES}/{name}"
    if not depth or not name or not sysfs.exists(folder):
        return
    uuid = _text(sysfs, f"{folder}/dm/uuid")
    found.kinds |= {kind for begin, kind in DM_KINDS.items() if uuid.startswith(begin)}
    if uuid:
        found.modules.setdefault("dm_mod", f"block device {name}")
    level = _text(sysfs, f"{folder}/md/level")
    if level:
        found.kinds.add("md")
        found.modules.setdefault({"raid4": "raid456", "raid5": "raid456", "raid6": "raid456"}.get(level, level), name)
    below = sysfs.names(f"{folder}/slaves")
    for one in below:
        block(sysfs, one, found, depth - 1)
    if not below:
        device = f"{folder}/../device" if sysfs.exists(f"{folder}/partition") else f"{folder}/device"
        for module in _modules(sysfs, device):
            found.modules.setdefault(module, f"block device {name}")


def _netdev(sysfs: Sysfs, name: str, found: Stack, depth: int) -> None:
    folder = f"{NETDEVS}/{name}"
    if not depth or not sysfs.exists(folder):
        return
    for part, module in (("bonding", "bonding"), ("bridge", "bridge")):
        if sysfs.exists(f"{folder}/{part}"):
            found.modules.setdefault(module, f"interface {name}")
    if "DEVTYPE=vlan" in _text(sysfs, f"{folder}/uevent").split():
        found.modules.setdefault("8021q", f"interface {name}")
    for module in _modules(sysfs, f"{folder}/device"):
        found.modules.setdefault(module, f"interface {name}")
    for one in sysfs.names(folder):
        if one.startswith("lower_"):
            _netdev(sysfs, one[len("lower_") :], found, depth - 1)


def _modules(sysfs: Sysfs, device: str) -> Iterator[str]:
    for up in UP:
        module = sysfs.link(f"{device}{up}/driver/module")
        if module:
            yield module


def _default_routes(sysfs: Sysfs) -> Iterator[str]:
    for line in _text(sysfs, ROUTES).splitlines()[1:]:
        words = line.split()
        if len(words) > 1 and words[1] == "0" * 8:
            yield words[0]
    for line in _text(sysfs, ROUTES6).splitlines():
        words = line.split()
        if len(words) > 9 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            yield words[9]


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path)
    except KernelError:
        return ""
