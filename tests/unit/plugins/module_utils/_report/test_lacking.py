# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks is said, and nothing where it lacks nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.paths import NO_IOMMU_MODE
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import lacking, status, status_text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.info import FULL, gather
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

A, B = "0000:03:00.0", "0000:05:00.0"


def host_with(folder: Path, *pfs: FakePf) -> FakeHost:
    host = FakeHost(folder / "root")
    for pf in pfs:
        host.add(pf)
    return host


def texts(host: FakeHost) -> list[str]:
    return lacking.texts(host.sysfs, gather(host.sysfs, host.run))


# fields of a PF, the beginning of what it lacks
LACKS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"total": 0}, [f"PF {A}: the device offers no VFs (sriov_totalvfs is 0)"]),
    ({"driver": None}, [f"PF {A}: it has no driver, and without that no VF can be enabled"]),
    ({"driver": None, "total": 0}, [f"PF {A}: it has no driver"]),
    ({"iommu_type": None}, [f"PF {A}: it has no iommu_group, so its VFs cannot be given to VMs"]),
    ({"iommu_type": None, "total": 0}, [f"PF {A}: the device offers no VFs", f"PF {A}: it has no iommu_group"]),
]


@pytest.mark.parametrize(("fields", "found"), LACKS)
def test_of_a_pf(tmp_path: Path, fields: dict[str, Any], found: list[str]) -> None:
    host = host_with(tmp_path, FakePf(A, **{"total": 7, **fields}))
    said = texts(host)
    assert len(said) == len(found)
    assert all(text.startswith(one) for text, one in zip(said, found, strict=True)), said


def test_pfs_alike_share_a_text(tmp_path: Path) -> None:
    host = host_with(tmp_path, *(FakePf(pf, 0, netdev=f"eth{i}") for i, pf in enumerate((A, B))))
    (text,) = texts(host)
    assert text.startswith(f"PF {A}, {B}: the device offers no VFs")


def test_no_pf_at_all(tmp_path: Path) -> None:
    host = host_with(tmp_path)
    current = status.read(host.sysfs, host.run, None, (None, None), FULL)
    lines = status_text.status_lines(current)
    assert lines[0] == "This host has no PF that supports SR-IOV."
    assert lines[1].startswith("Missing: no PCI device of this host offers VFs")
    assert current["lacks"] == texts(host)


def test_vfio_without_an_iommu_that_somebody_has_allowed(tmp_path: Path) -> None:
    host = host_with(tmp_path, FakePf(A, 7, iommu_type=None))
    users.put(host, NO_IOMMU_MODE[1:], "Y\n")
    assert texts(host) == []


def test_a_group_that_others_share(tmp_path: Path) -> None:
    host = host_with(tmp_path, FakePf(A, 7))
    pf = host.pfs[A]
    host.setup(pf, 2, [0, 1])
    assert texts(host) == []
    for name in ("0000:03:10.0", "0000:00:01.0"):
        users.put(host, f"sys/kernel/iommu_groups/{pf.vfs[0].group}/devices/{name}", "")
    (text,) = texts(host)
    assert text.startswith(f"PF {A}: a VF shares its IOMMU group with other devices")


def test_a_blocked_pf_lacks_nothing_that_is_known(tmp_path: Path) -> None:
    host = host_with(tmp_path, FakePf(A, 7))
    host.block(host.pfs[A], "/sys/x", "0")
    assert texts(host) == []
