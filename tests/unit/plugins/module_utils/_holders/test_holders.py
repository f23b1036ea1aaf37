# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holders of VFs, and what is refused because of them.

Processes that end while they are read are among them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import holders, processes
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

IGB, NVME = "0000:03:00.0", "0000:04:00.0"


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
        for (_pf, vf_id), holder in holders.read_holders(host.sysfs, host.run, {IGB: (pf, pf.present)}).items()
    }


@pytest.mark.parametrize("node", ["/dev/vfio/2", "/dev/vfio/noiommu-2", "/dev/vfio/devices/vfio0"])
def test_nodes(host: FakeHost, node: str) -> None:
    users.put(host, "sys/bus/pci/devices/0000:04:11.4/vfio-dev/vfio0/dev", "511:0\n")
    users.put(host, "sys/class/vfio/noiommu-2/dev", "235:20\n")
    host.node("/dev/vfio/devices/vfio0", "511:0")
    host.node("/dev/vfio/noiommu-2", "235:20")
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


def test_vfs_of_one_group_have_one_holder(host: FakeHost) -> None:
    vfs = host.pfs[IGB].vfs
    vfs[0].group = vfs[6].group
    host.draw()
    process(host, 77, f"/dev/vfio/{vfs[6].group}")
    assert read(host) == dict.fromkeys((0, 6), "process 77 (prog)")


def test_process_that_has_ended_holds_nothing(host: FakeHost) -> None:
    process(host, 77, "/dev/vfio/2")
    (host.root / "proc/77/comm").unlink()
    assert read(host) == {}


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


def test_not_allowed_to_read_is_an_error(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, so that no holder is overlooked."""
    process(host, 77, "/dev/vfio/2")

    def forbidden(path: str) -> str:
        raise KernelError("read link", path, 13)

    monkeypatch.setattr(host.sysfs, "target", forbidden)
    with pytest.raises(KernelError, match="EACCES"):
        list(processes.open_files(host.sysfs))


def at_home(host: FakeHost) -> None:
    users.process(host, "self", "sriovctl")
    users.process(host, 1, "init")


def elsewhere(host: FakeHost) -> None:
    at_home(host)
    users.process(host, 812, "nginx", "net:[77]")
    users.move(host, host.pfs[IGB], 2, "/proc/812/ns/net")


def mounted(host: FakeHost) -> None:
    at_home(host)
    users.disk(host, host.pfs[NVME], 2, "nvme1n1")
    users.mount(host, "self", "259:0", "/dev/nvme1n1", "/data")


def pool(host: FakeHost) -> None:
    users.network(host, "pool", "<forward mode='hostdev'><pf dev='eth0'/></forward>")
    users.define(host, "db", "<interface type='network'><source network='pool'/></interface>")


# how VF 2 comes into use, of a PF whose VFs 1 and 2 are bound to a driver; the PF; words
USES: list[tuple[Callable[[FakeHost], None], str, str, str]] = [
    (lambda host: host.hold(host.pfs[IGB], 2), IGB, "vfio-pci", "VM web1, process 4711 (qemu-system-x86)"),
    (
        lambda host: users.start(host, "web2", users.hostdev(host.pfs[IGB], 2)),
        IGB,
        "vfio-pci",
        "libvirt domain web2 (running)",
    ),
    (
        lambda host: users.define(host, "web2", users.hostdev(host.pfs[IGB], 2)),
        IGB,
        "vfio-pci",
        "libvirt domain web2 (defined)",
    ),
    (pool, IGB, "vfio-pci", "libvirt domain db (defined) through network pool"),
    (lambda host: users.enslave(host, host.pfs[IGB], 2, "br0", "bridge"), IGB, "igbvf", "bridge br0 above"),
    (elsewhere, IGB, "igbvf", "the network namespace of process 812 (nginx), as interface net1"),
    (mounted, NVME, "nvme", "mount point /data (/dev/nvme1n1)"),
]
# what would take it away
SPECS: list[dict[str, Any]] = [
    {"present_vfs": "1"},
    {"vfs": [{"ids": 2, "driver": "other"}]},
    {"hardware_vfs": 0, "present_vfs": "none"},
    {"hardware_vfs": 5, "present_vfs": "none"},
]


def in_use(folder: Path, use: Callable[[FakeHost], None], address: str, driver: str) -> FakeHost:
    host = FakeHost(folder)
    host.drivers.add("other")
    host.setup(host.igb(IGB) if address == IGB else host.nvme(NVME), 7, [1, 2], driver)
    use(host)
    return host


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("use", "address", "driver", "words"), USES)
def test_vfs_in_use_are_refused(
    tmp_path: Path, use: Callable[[FakeHost], None], address: str, driver: str, words: str, spec: dict[str, Any]
) -> None:
    """A refusal that names the holder, in check mode and without.

    Nothing is written; the other VF is free.
    """
    host = in_use(tmp_path, use, address, driver)
    before = host.picture()
    for check in (True, False):
        with pytest.raises(RefusedError) as caught:
            converge(host.sysfs, host.run, validate({"pfs": [{"pf": address, **spec}]}), check=check)
        # a network means all VFs of its PF
        taken = "VFs 1-2" if "through network" in words and spec.get("present_vfs") == "none" else "VF 2"
        assert f"{taken} of PF {address} by {words}" in str(caught.value)
        assert "force: true" in str(caught.value)
    assert (host.sysfs.writes, host.run.calls, host.picture()) == ([], [], before)
    if "through network" not in words:
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": address, "present_vfs": "2"}]}))
        assert set(host.pfs[address].vfs) == {2}


@pytest.mark.parametrize(("use", "address", "driver", "words"), USES[1:])
def test_force_reads_nothing_and_goes_on(
    tmp_path: Path, use: Callable[[FakeHost], None], address: str, driver: str, words: str
) -> None:
    host = in_use(tmp_path, use, address, driver)
    (host.root / "etc/libvirt/qemu").mkdir(parents=True, exist_ok=True)
    (host.root / "etc/libvirt/qemu/broken.xml").write_text("<")
    assert words
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": address, "present_vfs": "1"}]}), force=True)
    assert set(host.pfs[address].vfs) == {1}


def test_a_file_of_libvirt_that_nobody_understands_is_a_refusal(tmp_path: Path) -> None:
    host = in_use(tmp_path, lambda host: users.put(host, "etc/libvirt/qemu/web1.xml", "<domain"), IGB, "igbvf")
    with pytest.raises(RefusedError, match=r"/etc/libvirt/qemu/web1.xml cannot be understood"):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, "present_vfs": "1"}]}))
    assert host.sysfs.writes == []


@pytest.mark.parametrize(
    "spec", [{"present_vfs": "1-3"}, {"drivers_autoprobe": False}, {"vfs": [{"ids": 2, "vlan": 5}]}]
)
def test_what_removes_nothing_reads_no_holders(tmp_path: Path, spec: dict[str, Any]) -> None:
    host = in_use(tmp_path, elsewhere, IGB, "igbvf")
    users.put(host, "etc/libvirt/qemu/web1.xml", "<domain")
    assert converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, **spec}]})).plan.changed
    assert not [path for path in host.sysfs.reads if path.startswith(("/proc", "/etc/libvirt"))]


# domain, driver before, driver wanted, may it be bound?
BINDING = [
    (users.define, "igbvf", "vfio-pci", True),
    (users.define, "vfio-pci", "mlx5_vfio_pci", True),
    (users.define, "vfio-pci", "igbvf", False),
    (users.define, "vfio-pci", "default", False),
    (users.start, "igbvf", "vfio-pci", False),
]


@pytest.mark.parametrize(("use", "before", "wanted", "allowed"), BINDING)
def test_a_defined_domain_needs_its_vf_bound_to_vfio(
    tmp_path: Path, use: Callable[[FakeHost, str, str], None], before: str, wanted: str, allowed: bool
) -> None:
    host = in_use(tmp_path, lambda host: use(host, "web2", users.hostdev(host.pfs[IGB], 2)), IGB, before)
    host.drivers |= {"vfio-pci", "mlx5_vfio_pci", "igbvf"}
    host.draw()
    document = validate({"pfs": [{"pf": IGB, "vfs": [{"ids": 2, "driver": wanted}]}]})
    if allowed:
        converge(host.sysfs, host.run, document)
        assert host.pfs[IGB].vfs[2].driver == wanted
    else:
        with pytest.raises(RefusedError, match="libvirt domain web2"):
            converge(host.sysfs, host.run, document)


# driver of a PF, spec that takes VFs from their drivers for a moment
FOR_A_MOMENT = [
    ("mlx5", {"eswitch_mode": "switchdev", "allow_disruptive": True}),
    ("ice", {"eswitch_mode": "switchdev", "allow_disruptive": True}),
    ("mlx5", {"vfs": [{"ids": 2, "msix_vectors": 16}]}),
]


@pytest.mark.parametrize(("driver", "spec"), FOR_A_MOMENT)
def test_a_holder_loses_its_vf_for_a_moment_only_by_force(tmp_path: Path, driver: str, spec: dict[str, Any]) -> None:
    host = FakeHost(tmp_path)
    pf = getattr(host, driver)(IGB)
    host.setup(pf, 7, [1, 2], "vfio-pci")
    users.start(host, "web2", users.hostdev(pf, 2))
    document = validate({"pfs": [{"pf": IGB, **spec}]})
    before = host.picture()
    with pytest.raises(RefusedError, match=f"VF 2 of PF {IGB} by libvirt domain web2 .running.; .*force: true"):
        converge(host.sysfs, host.run, document)
    assert (host.sysfs.writes, host.run.calls, host.picture()) == ([], [], before)
    converge(host.sysfs, host.run, document, force=True)
    assert pf.eswitch == spec.get("eswitch_mode", "legacy")
    assert {vf_id: vf.driver for vf_id, vf in pf.vfs.items()} == {1: "vfio-pci", 2: "vfio-pci"}


def test_a_defined_domain_allows_a_moment_without_its_vf(tmp_path: Path) -> None:
    """A VF that is bound to VFIO again at the end.

    A driver that removes the VF meanwhile, as ice requires, is refused.
    """
    host = FakeHost(tmp_path)
    mlx5, ice = host.mlx5(IGB), host.ice(NVME, netdev="eth1")
    for name, pf in (("web2", mlx5), ("web3", ice)):
        host.setup(pf, 7, [1, 2], "vfio-pci")
        users.define(host, name, users.hostdev(pf, 2))
    spec = {"eswitch_mode": "switchdev", "allow_disruptive": True}
    with pytest.raises(RefusedError, match=f"VFs are in use: VF 2 of PF {NVME} by libvirt domain web3 .defined.; "):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, **spec}, {"pf": NVME, **spec}]}))
    converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, **spec}]}))
    assert (mlx5.eswitch, mlx5.vfs[2].driver) == ("switchdev", "vfio-pci")


def test_a_bridge_keeps_the_vf_of_a_defined_domain(tmp_path: Path) -> None:
    """A bridge above the VF, which counts more than a defined domain."""
    host = in_use(tmp_path, lambda host: users.enslave(host, host.pfs[IGB], 2, "br0", "bridge"), IGB, "igbvf")
    users.define(host, "web2", users.hostdev(host.pfs[IGB], 2))
    host.drivers.add("vfio-pci")
    with pytest.raises(RefusedError, match=f"VF 2 of PF {IGB} by bridge br0"):
        converge(host.sysfs, host.run, validate({"pfs": [{"pf": IGB, "vfs": [{"ids": 2, "driver": "vfio-pci"}]}]}))


def test_present_vfs_without_details_are_read(tmp_path: Path) -> None:
    """Holders of present VFs, whatever was read of them."""
    host = in_use(tmp_path, lambda host: host.hold(host.pfs[IGB], 2), IGB, "vfio-pci")
    pf = read_pfs(host.sysfs, [IGB], vfs=False)[IGB]
    assert list(holders.read_holders(host.sysfs, host.run, {IGB: (pf, [1, 2, 5])})) == [(IGB, 2)]


def test_lenient_reading_leaves_out_what_it_may_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = in_use(tmp_path, lambda host: users.enslave(host, host.pfs[IGB], 2, "br0", "bridge"), IGB, "igbvf")
    users.put(host, "etc/libvirt/qemu/web1.xml", "<domain")
    pf = read_pfs(host.sysfs)[IGB]
    vfs = {IGB: (pf, pf.present)}
    assert list(holders.read_holders(host.sysfs, host.run, vfs, lenient=True)) == [(IGB, 2)]
    with pytest.raises(RefusedError):
        holders.read_holders(host.sysfs, host.run, vfs)
    names = host.sysfs.names

    def denied(path: str) -> list[str]:
        if path.startswith("/run/libvirt"):
            raise KernelError("list", path, number)
        return names(path)

    monkeypatch.setattr(host.sysfs, "names", denied)
    number = 13
    assert list(holders.read_holders(host.sysfs, host.run, vfs, lenient=True)) == [(IGB, 2)]
    number = 5
    with pytest.raises(KernelError):
        holders.read_holders(host.sysfs, host.run, vfs, lenient=True)
