# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a PF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import FACTS, PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import identity
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_known, read_vfs
from tests.fake.linux.host import FakeHost
from tests.fake.linux.users import put


def state(host: FakeHost) -> PfState:
    pf = next(iter(read_known(host.sysfs, FACTS).values()))
    return read_vfs(host.sysfs, pf, pf.present)


# what the fake PF has, what is read otherwise than without it
FACTS_OF_PFS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"iommu_type": "identity"}, {"iommu_type": "identity"}),
    ({"iommu_type": None}, {"iommu_group": None, "iommu_type": None}),
    ({"pcie": ("Unknown", 0)}, {"pcie_speed": "Unknown", "pcie_width": 0}),
    ({"pcie": None}, {"pcie_speed": None, "pcie_width": None}),
    ({"pci_class": "0x0b4000", "netdev": None}, {"class_name": "coprocessor"}),
    ({"speed": 25000}, {"speed": 25000}),
]


@pytest.mark.parametrize(("has", "differs"), FACTS_OF_PFS)
def test_facts(tmp_path: Path, has: dict[str, Any], differs: dict[str, Any]) -> None:
    host = FakeHost(tmp_path)
    pf = host.igb()
    for name, value in has.items():
        setattr(pf, name, value)
    host.draw()
    usual = {
        "class_name": "ethernet", "iommu_group": "10000", "iommu_type": "DMA", "pcie_speed": "8.0 GT/s PCIe",
        "pcie_width": 8, "vf_offset": 384, "vf_stride": 2, "speed": None,
    }  # fmt: skip
    assert identity.read(host.sysfs, state(host)) == {**usual, **differs}


CLASSES = [("0x020000", "ethernet"), ("0x020700", "infiniband"), ("0x028000", "network"), ("0x010802", "nvme"),
           ("0x030200", "display"), ("0x120000", "accelerator"), ("0x0c0330", None), ("", None)]  # fmt: skip


@pytest.mark.parametrize(("code", "name"), CLASSES)
def test_the_most_precise_name_of_a_class(code: str, name: str | None) -> None:
    assert identity.class_name(code) == name


@pytest.mark.parametrize("node", [-1, 0, 1])
def test_numa_nodes_of_vfs(tmp_path: Path, node: int) -> None:
    """No file of a VF is read where the PF has none."""
    host = FakeHost(tmp_path)
    pf = host.nvme()
    pf.numa_node = node
    host.setup(pf, 8, [0, 5])
    read = state(host)
    host.sysfs.reads.clear()
    assert identity.numa_nodes(host.sysfs, read) == {0: node, 5: node}
    assert len(host.sysfs.reads) == (0 if node == -1 else 2)


# the kernel's command line, options about SR-IOV
COMMAND_LINES: list[tuple[str, list[str]]] = [
    ("quiet\n", []),
    ("pci=sriov_keep_vfs quiet", ["sriov_keep_vfs"]),
    ("pci=noaer,sriov_keep_vfs pci=sriov_absent_vfs=8086:1592;15b3:101d", [
        "sriov_keep_vfs", "sriov_absent_vfs=8086:1592;15b3:101d",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "options"), COMMAND_LINES)
def test_kernel(tmp_path: Path, line: str, options: list[str]) -> None:
    host = FakeHost(tmp_path)
    put(host, "proc/cmdline", line)
    put(host, "proc/sys/kernel/osrelease", "6.12.117-kvmfleet\n")
    assert identity.kernel(host.sysfs) == {"release": "6.12.117-kvmfleet", "pci": options}


def test_kernel_of_a_tree_without_proc(tmp_path: Path) -> None:
    assert identity.kernel(FakeHost(tmp_path).sysfs) == {"release": None, "pci": []}
