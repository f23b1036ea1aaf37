# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity of a PF: its kind, IOMMU group and PCIe link.

Planning needs none of it.
"""

from __future__ import annotations

from typing import Any

from .._document.selector import CLASSES
from .._model.errors import KernelError
from .._model.paths import COMMAND_LINE, DEVICES, RELEASE
from .._model.state import PfState
from .._model.values import whole
from .._system.sysfs import Sysfs
from . import netdevs


def read(sysfs: Sysfs, pf: PfState) -> dict[str, Any]:
    """Read the PF's identity; None for what it or the kernel lacks.

    Linux, ABI/testing: sysfs-bus-pci, sysfs-kernel-iommu_groups. ``pcie_speed``: of the link as it is now, like ``8.0
    GT/s PCIe``. ``pcie_width``: its lanes. ``speed``: of the network link in Mbit/s, while it is up
    (sysfs-class-net).
    """
    folder = f"{DEVICES}/{pf.address}"
    width = text(sysfs, f"{folder}/current_link_width") or ""
    speed = text(sysfs, f"{netdevs.path_of(sysfs, folder, pf.netdev)}/speed") or "" if pf.netdev else ""
    return {
        "class_name": class_name(str(pf.facts.get("class", ""))),
        "iommu_group": _link(sysfs, f"{folder}/iommu_group"),
        "iommu_type": text(sysfs, f"{folder}/iommu_group/type"),
        "pcie_speed": text(sysfs, f"{folder}/current_link_speed"),
        "pcie_width": whole(width),
        "speed": _speed(speed),
        "vf_offset": pf.offset,
        "vf_stride": pf.stride,
    }


def numa_nodes(sysfs: Sysfs, pf: PfState) -> dict[int, int]:
    """NUMA nodes of the VFs whose details were read, by id.

    Where the PF has none, neither has a VF, and no file is read.
    """
    if pf.facts.get("numa_node", -1) == -1:
        return dict.fromkeys(pf.vfs, -1)
    nodes = {vf_id: text(sysfs, f"{DEVICES}/{vf.address}/numa_node") for vf_id, vf in pf.vfs.items()}
    numbers = {vf_id: whole(node) for vf_id, node in nodes.items()}
    return {vf_id: -1 if number is None else number for vf_id, number in numbers.items()}


def _speed(text_: str) -> int | None:
    """A link's speed; drivers show -1 for one that is not known."""
    speed = whole(text_)
    return speed if speed is not None and speed >= 0 else None


def kernel(sysfs: Sysfs) -> dict[str, Any]:
    """The running kernel, and the SR-IOV options of its command line.

    Whether it knows these options or not.
    """
    words = (text(sysfs, COMMAND_LINE) or "").split()
    options = [option for word in words if word.startswith("pci=") for option in word[4:].split(",")]
    return {"release": text(sysfs, RELEASE), "pci": [one for one in options if one.startswith("sriov_")]}


def class_name(code: str) -> str | None:
    """The most precise selector name of a PCI class code like ``0x020000``."""
    fitting = [name for name, start in CLASSES.items() if code.startswith(f"0x{start}")]
    return max(fitting, key=lambda name: len(CLASSES[name]), default=None)


def _link(sysfs: Sysfs, path: str) -> str | None:
    try:
        return sysfs.link(path)
    except KernelError:
        return None


def text(sysfs: Sysfs, path: str) -> str | None:
    """Content of a file; None for an empty, missing or unreadable one."""
    try:
        return sysfs.read(path).strip() or None
    except KernelError:
        return None
