# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices that a process has open by VFIO."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._holders.processes import open_files
from ..._model.paths import DEVICES
from ..._system.sysfs import Sysfs

GROUP = re.compile(r"/dev/vfio/(?:noiommu-)?(\d+)")
DEVICE = re.compile(r"/dev/vfio/devices/(vfio\d+)")
DRIVER = "vfio-pci"


def held(sysfs: Sysfs, pid: int) -> tuple[str, ...]:
    """Addresses of the devices, each once.

    Of a group those that are bound to a driver of VFIO.
    """
    found = (address for _pid, _path, target in open_files(sysfs, [pid]) for address in _behind(sysfs, target))
    return tuple(dict.fromkeys(found))


def driver(sysfs: Sysfs, address: str) -> str:
    """The driver of a device, empty without one."""
    return sysfs.link(f"{DEVICES}/{address}/driver") or ""


def _behind(sysfs: Sysfs, target: str) -> Iterator[str]:
    group, device = GROUP.fullmatch(target), DEVICE.fullmatch(target)
    if group:
        folder = f"/sys/kernel/iommu_groups/{group.group(1)}/devices"
        for address in sysfs.names(folder) if sysfs.exists(folder) else ():
            if "vfio" in driver(sysfs, address):
                yield address
    elif device:
        behind = sysfs.link(f"/sys/class/vfio-dev/{device.group(1)}/device")
        if behind:
            yield behind
