# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel modules that a host needs, and those of another kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES, DEVICES, DRIVERS, NETDEVS, RELEASE
from .._model.state import PfState
from .._system.sysfs import Sysfs


@dataclass(frozen=True)
class ModuleFacts:
    """Kernel modules: needed, loaded, and available to the new kernel.

    ``needed``: users by module, for drivers that the host cannot do without; ``available``: loadable or built in, None
    when the kernel's /lib/modules folder is missing.
    """

    needed: Mapping[str, str]
    loaded: frozenset[str]
    available: frozenset[str] | None


def facts(sysfs: Sysfs, release: str, pfs: Mapping[str, PfState]) -> ModuleFacts:
    """Read the modules needed and loaded here, and those of ``release``.

    ``needed``: behind the drivers of PFs, VFs given to VMs, network interfaces and disks. Code that no kernel can have
    as a module (pcieportdrv: its option is yes or no) is listed by none, so it is not compared: a module counts if it
    is loaded here or named among this kernel's own.
    """
    loaded = {line.split()[0] for line in sysfs.read("/proc/modules").splitlines()} if _has_modules(sysfs) else set()
    here = loaded | (available(sysfs, sysfs.read(RELEASE)) or frozenset())
    needed: dict[str, str] = {}
    for driver_folder, who in _drivers(sysfs, pfs):
        module = sysfs.link(f"{driver_folder}/module")
        if module in here:
            needed.setdefault(module, who)
    return ModuleFacts(needed, frozenset(loaded), available(sysfs, release))


def available(sysfs: Sysfs, release: str) -> frozenset[str] | None:
    """Module names of a kernel, loadable or built in.

    With ``_`` for ``-``; None when the kernel has no folder. modules.dep lines are ``kernel/a/b.ko.xz: ...``,
    modules.builtin lines ``kernel/a/b.ko`` (kmod, depmod(8)).
    """
    folder = f"/lib/modules/{release}"
    if not sysfs.exists(folder):
        return None
    names: set[str] = set()
    for file in ("modules.dep", "modules.builtin"):
        try:
            text = sysfs.read(f"{folder}/{file}")
        except KernelError:
            continue
        for line in text.splitlines():
            name = os.path.basename(line.split(":")[0])
            names.add(re.sub(r"\.ko(\.\w+)?$", "", name).replace("-", "_"))
    return frozenset(names)


def _has_modules(sysfs: Sysfs) -> bool:
    return sysfs.exists("/proc/modules")


def _drivers(sysfs: Sysfs, pfs: Mapping[str, PfState]) -> Iterator[tuple[str, str]]:
    """(folder of a driver that the host needs, its user).

    A disk's driver may be bound to a device some levels further up.
    """
    for address, pf in pfs.items():
        if pf.enabled:
            yield f"{DEVICES}/{address}/driver", f"PF {address}"
    if any(pf.enabled for pf in pfs.values()) and sysfs.exists(f"{DRIVERS}/vfio-pci"):
        yield f"{DRIVERS}/vfio-pci", "VFs of VMs"
    for group in (NETDEVS, BLOCK_DEVICES):
        for name in sysfs.names(group):
            for up in ("", "/..", "/../..", "/../../.."):
                folder = f"{group}/{name}/device{up}/driver"
                if sysfs.exists(folder):
                    yield folder, f"{group.rsplit('/', 1)[1]} device {name}"
