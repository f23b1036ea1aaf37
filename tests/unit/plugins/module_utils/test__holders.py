# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a VF: by group, by character device, without an IOMMU; processes that end while being looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _holders
from ansible_collections.kvmfleet.sriov.plugins.module_utils._errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._state import read_pfs
from tests.fake.host import FakeHost

IGB = "0000:03:00.0"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(IGB), 7, [0, 6], "vfio-pci")
    return host


def process(host: FakeHost, pid: int, target: str, cmdline: str = "prog\0", comm: str = "prog") -> None:
    folder = host.root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{comm}\n")
    (folder / "cmdline").write_text(cmdline)
    os.symlink(target, folder / "fd" / "5")


def read(host: FakeHost) -> dict[int, str]:
    pf = read_pfs(host.sysfs)[IGB]
    return {
        vf_id: str(holder)
        for (_pf, vf_id), holder in _holders.read_holders(host.sysfs, {IGB: (pf, pf.present)}).items()
    }


@pytest.mark.parametrize("node", ["/dev/vfio/2", "/dev/vfio/noiommu-2", "/dev/vfio/devices/vfio0"])
def test_nodes(host: FakeHost, node: str) -> None:
    (host.root / "sys/bus/pci/devices/0000:04:11.4/vfio-dev/vfio0").mkdir(parents=True)
    process(host, 77, node)
    assert read(host) == {6: "process 77 (prog)"}


@pytest.mark.parametrize("node", ["/dev/vfio/22", "/dev/vfio/vfio", "/tmp/2", "/dev/vfio/devices/vfio1", "socket:[2]"])
def test_others_are_not_meant(host: FakeHost, node: str) -> None:
    process(host, 77, node)
    assert read(host) == {}


# command line, VM
NAMES = [
    ("qemu\0-name\0guest=web1,debug-threads=on\0", "VM web1, process 77 (prog)"),
    ("qemu\0-name\0web1\0", "VM web1, process 77 (prog)"),
    ("qemu\0-name\0web1,process=x\0", "VM web1, process 77 (prog)"),
    ("qemu\0-name\0debug-threads=on\0", "process 77 (prog)"),
    ("qemu\0-m\0128\0", "process 77 (prog)"),
    ("", "process 77 (prog)"),
]


@pytest.mark.parametrize(("cmdline", "expected"), NAMES)
def test_names(host: FakeHost, cmdline: str, expected: str) -> None:
    process(host, 77, "/dev/vfio/2", cmdline)
    assert read(host) == {6: expected}


@pytest.mark.parametrize("comm", ["(udev-worker)", "systemd-udevd"])
def test_udev_passes_by(host: FakeHost, comm: str) -> None:
    process(host, 77, "/dev/vfio/2", comm=comm)
    assert read(host) == {}
    process(host, 76, "/dev/vfio/2")
    assert read(host) == {6: "process 76 (prog)"}


def test_process_that_ends_meanwhile(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    process(host, 77, "/dev/vfio/2")
    process(host, 78, "/dev/vfio/1")
    names = host.sysfs.names

    def vanishing(path: str) -> list[str]:
        if path == "/proc/77/fd":
            raise KernelError("list", path, 3)
        return names(path)

    monkeypatch.setattr(host.sysfs, "names", vanishing)
    assert read(host) == {0: "process 78 (prog)"}


def test_not_allowed_to_look_is_an_error(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may be overlooked."""
    process(host, 77, "/dev/vfio/2")

    def forbidden(path: str) -> str:
        raise KernelError("read link", path, 13)

    monkeypatch.setattr(host.sysfs, "target", forbidden)
    with pytest.raises(KernelError, match="EACCES"):
        list(_holders._open_files(host.sysfs))
