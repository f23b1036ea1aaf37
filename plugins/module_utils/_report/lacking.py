# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks for VFs, and for VFs in VMs.

As far as its files show it: firmware and the kernel's command line are what an operator has to change
(docs/before_you_begin.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._model.errors import KernelError
from .._model.paths import DEVICES, NO_IOMMU_MODE
from .._system.sysfs import Sysfs

_NO_PF = (
    "no PCI device of this host offers VFs (none has a file sriov_totalvfs): switch SR-IOV on in BIOS or UEFI and in "
    "the adapter's firmware, or use a kernel with CONFIG_PCI_IOV"
)
_NO_VFS = (
    "the device offers no VFs (sriov_totalvfs is 0): set their number in its firmware, such as mlxconfig SRIOV_EN and "
    "NUM_OF_VFS, or the adapter's page in UEFI setup"
)
_NO_DRIVER = "it has no driver, and without that no VF can be enabled: load the driver of the adapter"
_NO_IOMMU = (
    "it has no iommu_group, so its VFs cannot be given to VMs: switch VT-d or AMD-Vi on in BIOS or UEFI, on Intel also "
    "intel_iommu=on on the kernel's command line"
)
_SHARED = (
    "a VF shares its IOMMU group with other devices, and can only be given to a VM together with them: use a slot "
    "behind a port with ACS"
)


def texts(sysfs: Sysfs, pfs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is missing and what to do, one text for PFs alike.

    ``pfs`` are as `info.gather` returns them, all of the host's or some; blocked and unreadable ones are left out.
    """
    if not pfs:
        return [_NO_PF]
    found: dict[str, list[str]] = {}
    for pf in pfs:
        if "blocked" not in pf and "unreadable" not in pf:
            for text in _of(sysfs, pf):
                found.setdefault(text, []).append(str(pf["pf"]))
    return [f"PF {', '.join(addresses)}: {text}" for text, addresses in found.items()]


def _of(sysfs: Sysfs, pf: Mapping[str, Any]) -> Iterator[str]:
    if pf["driver"] is None:
        yield _NO_DRIVER
    elif pf["total_vfs"] == 0:
        yield _NO_VFS
    if not sysfs.exists(f"{DEVICES}/{pf['pf']}/iommu_group"):
        if not _may_do_without(sysfs):
            yield _NO_IOMMU
    elif any(_shares(sysfs, vf["address"]) for vf in pf.get("vfs", ())[:1] if vf.get("present")):
        yield _SHARED


def _may_do_without(sysfs: Sysfs) -> bool:
    """Whether somebody has allowed VFIO without an IOMMU."""
    try:
        return sysfs.read(NO_IOMMU_MODE) in ("Y", "1")
    except KernelError:
        return False


def _shares(sysfs: Sysfs, address: str) -> bool:
    return len(sysfs.names(f"{DEVICES}/{address}/iommu_group/devices")) > 1
