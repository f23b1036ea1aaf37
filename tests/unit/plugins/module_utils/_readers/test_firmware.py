# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Driver and firmware versions, from whichever source has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import FACTS
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import firmware
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.firmware import Versions
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_known
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf
from tests.fake.linux.users import BUS, put


def read(host: FakeHost, pf: FakePf) -> Versions:
    host.draw()
    return firmware.read(host.sysfs, host.run, read_known(host.sysfs, FACTS)[pf.address])


MLX5 = {"drvinfo": ("6.12.0", "22.41.1000 (MT_0000000359)")}

# the PF, programs that are missing, what is known
SOURCES: list[tuple[Callable[[FakeHost], FakePf], set[str], Versions]] = [
    (FakeHost.igb, set(), Versions("6.12.0", "3.25, 0x800005cf")),
    (FakeHost.igb, {"devlink"}, Versions("6.12.0", "3.25, 0x800005cf")),
    (FakeHost.nvme, {"devlink"}, Versions(None, "8.2.0", "QEMU NVMe Ctrl")),
    (FakeHost.mlx5, set(), Versions("6.12.0", "22.41.1000")),
    (FakeHost.mlx5, {"devlink"}, Versions("6.12.0", "22.41.1000 (MT_0000000359)")),
    (lambda host: host.mlx5(netdev=None), set(), Versions(None, "22.41.1000")),
    (lambda host: host.mlx5(versions={"fw.mgmt": "7.3.1", "fw.undi": "1.3"}), set(), Versions("6.12.0", "7.3.1")),
    (lambda host: host.mlx5(versions={"fw.undi": "1.3"}), set(), Versions("6.12.0", "22.41.1000 (MT_0000000359)")),
    (lambda host: host.mlx5(versions={}, drvinfo=None), set(), Versions()),
    (lambda host: host.ice(drvinfo=("6.12.0", "N/A")), set(), Versions("6.12.0", None)),
]


@pytest.mark.parametrize(("make", "missing", "known"), SOURCES)
def test_sources(tmp_path: Path, make: Callable[[FakeHost], FakePf], missing: set[str], known: Versions) -> None:
    host = FakeHost(tmp_path)
    host.run.missing = missing
    assert read(host, make(host)) == known


def test_the_reason_why_versions_are_unread(tmp_path: Path) -> None:
    """A reason only where a source could have had versions."""
    host = FakeHost(tmp_path)
    host.run.missing = {"devlink"}
    unread = read(host, host.mlx5(netdev=None)).unread
    assert unread == (
        "'devlink -j dev info pci/0000:05:00.0' ended with status 127: cannot run it: No such file or directory"
    )


def test_storage_is_not_asked_of_devlink(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    read(host, host.nvme())
    assert host.run.asked == []


@pytest.mark.parametrize("version", ["1.0", ""])
def test_version_of_the_module(tmp_path: Path, version: str) -> None:
    host = FakeHost(tmp_path)
    pf = host.nvme()
    put(host, f"{BUS}/{pf.address}/driver/module/version", f"{version}\n")
    assert read(host, pf).driver_version == (version or None)


def test_a_controller_that_is_not_there(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    pf = host.nvme()
    pf.controller = None
    assert read(host, pf) == Versions()
