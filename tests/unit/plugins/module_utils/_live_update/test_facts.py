# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts read from a host's files.

They are about VMs, writers of sriov_numvfs, modules, images and watchdogs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    facts,
    kernel_facts,
    kernel_modules,
    kexec,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import other_writers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import devices, discovery, qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.facts import QemuFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.probe import Probe
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import UsedVf, VmFacts
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, OLD, FakeNode


def discover(node: FakeNode) -> list[VmFacts]:
    pfs = read_pfs(node.host.sysfs, vfs=False)
    return list(node.qemu.probe(pfs, ()))


def test_vm_is_read_from_its_process(node: FakeNode, pf: FakePf) -> None:
    (found,) = discover(node)
    assert (found.name, found.unit, QemuFacts.of(found).uid, QemuFacts.of(found).libvirt) == (
        "web1",
        "kvmfleet-vm-web1.service",
        0,
        False,
    )
    assert found.vfs == (UsedVf(pf.address, 6, pf.vfs[6].address),)
    assert found.memory_bytes == 64 << 20
    probe = QemuFacts.of(found).probe
    assert probe is not None
    (device,) = probe.devices
    assert device.arguments == {
        "driver": "vfio-pci", "id": "vf0", "bus": "rp1", "addr": "00.0", "host": pf.vfs[6].address,
    }  # fmt: skip


def test_vms_are_asked_at_the_same_time(node: FakeNode) -> None:
    """A busy monitor costs its deadline, not the others' as well."""
    for name in ("a", "b", "c"):
        node.vm(name)
    barrier = threading.Barrier(3, timeout=10)

    def ask(path: str, argv: Sequence[str]) -> Probe:
        barrier.wait()
        raise SriovError("busy")

    found = discovery.discover(node.host.sysfs, node.run, ask, {})
    assert [QemuFacts.of(vm).probe_error for vm in found] == ["busy"] * 3


def test_plugged_memory_counts_too(node: FakeNode, pf: FakePf) -> None:
    node.qemus[0].plugged_bytes = 1 << 30
    (found,) = discover(node)
    assert found.memory_bytes == (64 << 20) + (1 << 30)


def test_hot_plugged_vf_counts_too(node: FakeNode, pf: FakePf) -> None:
    pf.vfs[3].driver = pf.vfs[3].override = "vfio-pci"
    node.qemus[0].do_device_add(driver="vfio-pci", host=pf.vfs[3].address, id="hot", bus="rp2")
    (found,) = discover(node)
    assert [vf.id for vf in found.vfs] == [6, 3]


def test_arguments_of_a_vf_without_an_id_are_its_own() -> None:
    argv = ["q", "-device", "vfio-pci,host=04:10.0,bus=rp1", "-device", "vfio-pci,host=04:10.2,bus=rp2,rombar=0"]
    assert devices._from_command_line(argv, None, "0000:04:10.2") == {
        "driver": "vfio-pci", "host": "04:10.2", "bus": "rp2", "rombar": "0",
    }  # fmt: skip
    assert devices._from_command_line(argv, None, "0000:04:10.4") == {}


def test_other_hot_plugged_devices_and_blockers_are_problems(node: FakeNode, pf: FakePf) -> None:
    script = node.scripts["web1"]
    script.hotplugged, script.blocked = ["net7"], ["device ivshmem cannot migrate", "VFIO migration is not supported"]
    (found,) = discover(node)
    probe = QemuFacts.of(found).probe
    assert probe is not None
    assert probe.problems == ("devices plugged since its start would not come back: net7; unplug them",)
    assert probe.unsaveable == ("QEMU refuses to migrate it: device ivshmem cannot migrate",)


def test_monitor_held_by_another_client(node: FakeNode, pf: FakePf) -> None:
    with qmp.connect(node.qemus[0].path, 1.0):
        (found,) = discover(node)
    assert QemuFacts.of(found).probe is None
    assert "another QMP client may hold it" in (QemuFacts.of(found).probe_error or "")


@pytest.mark.parametrize(
    ("cgroup", "unit", "libvirt"),
    [
        ("0::/system.slice/web.service", "web.service", False),
        ("0::/user.slice/user-0.slice/session-3.scope", "kvmfleet-vm-web1.service", False),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice", "kvmfleet-vm-web1.service", False),
        ("0::/system.slice/ssh.service", "kvmfleet-vm-web1.service", False),
        ("0::/machine.slice/machine-qemu-1-web1.scope/libvirt", "kvmfleet-vm-web1.service", True),
    ],
)
def test_units(node: FakeNode, pf: FakePf, cgroup: str, unit: str, libvirt: bool) -> None:
    node.put(f"/proc/{node.qemus[0].pid}/cgroup", cgroup + "\n")
    (found,) = discover(node)
    assert (found.unit, QemuFacts.of(found).libvirt) == (unit, libvirt)


def test_upgraded_program_is_still_a_qemu_and_others_are_not(node: FakeNode, pf: FakePf) -> None:
    exe = node.host.root / "proc" / str(node.qemus[0].pid) / "exe"
    exe.unlink()
    os.symlink("/usr/bin/qemu-system-x86_64 (deleted)", exe)
    assert node.qemu.pid("web1") == node.qemus[0].pid
    exe.unlink()
    os.symlink("/usr/bin/vim", exe)
    assert node.qemu.pid("web1") is None


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("/etc/systemd/network/10-a.link", "[Match]\n[Link]\nSR-IOVVirtualFunctions=4\n", "systemd-udevd (.link)"),
        ("/etc/systemd/network/10-a.link.d/x.conf", "[SR-IOV]\nVirtualFunction=0\n", "systemd-udevd (.link)"),
        ("/etc/systemd/network/20-b.network", "[SR-IOV]\nVirtualFunction=0\n", "systemd-networkd"),
        ("/etc/udev/rules.d/90-vf.rules", 'ATTR{device/sriov_numvfs}="4"\n', "a udev rule"),
        ("/etc/NetworkManager/system-connections/a.nmconnection", "[sriov]\ntotal-vfs=4\n", "NetworkManager"),
        ("/etc/netplan/01.yaml", "    virtual-function-count: 4\n", "netplan"),
        ("/etc/sriov-operator/sriov-interface-config.yaml", "x", "sriov-network-operator"),
        ("/etc/systemd/system/sriov-config.service", "[Service]\n", "sriov-network-operator"),
        ("/etc/systemd/system/vfs.service", "ExecStart=sh -c 'echo 4 > /sys/x/sriov_numvfs'\n", "a systemd unit"),
        ("/etc/tmpfiles.d/vf.conf", "w /sys/x/sriov_numvfs - - - - 4\n", "systemd-tmpfiles"),
        ("/etc/rc.local", "echo 4 > /sys/x/sriov_numvfs\n", "a boot script"),
        ("/etc/network/interfaces", "up echo 4 > /sys/x/sriov_numvfs\n", "ifupdown"),
        ("/etc/modprobe.d/igb.conf", "options igb max_vfs=4\n", "a module option"),
    ],
)
def test_writers(node: FakeNode, path: str, text: str, kind: str) -> None:
    node.put(path, text)
    assert [(item.kind, item.path) for item in other_writers.find(node.host.sysfs)] == [(kind, path)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/systemd/network/10-a.link", "[Link]\n#SR-IOVVirtualFunctions=4\n"),
        ("/etc/NetworkManager/system-connections/a.nmconnection", "[sriov]\ntotal-vfs=0\n"),
        ("/etc/modprobe.d/igb.conf", "options igb max_vfs=0\n"),
        ("/etc/systemd/system/kvmfleet-sriov-apply.service", "ExecStart=/usr/local/sbin/sriovctl apply\n"),
        ("/etc/udev/rules.d/90-vf.rules", "# sriov_numvfs is written elsewhere\n"),
    ],
)
def test_no_writers(node: FakeNode, path: str, text: str) -> None:
    node.put(path, text)
    assert list(other_writers.find(node.host.sysfs)) == []


def test_modules_of_another_kernel(node: FakeNode) -> None:
    node.put(f"/lib/modules/{NEW}/modules.dep", "kernel/drivers/net/igb/igb.ko.xz: kernel/a/i2c-algo-bit.ko.xz\n")
    node.put(f"/lib/modules/{NEW}/modules.builtin", "kernel/drivers/block/virtio_blk.ko\n")
    assert kernel_modules.available(node.host.sysfs, NEW) == frozenset({"igb", "virtio_blk"})
    assert kernel_modules.available(node.host.sysfs, "6.1") is None


def test_modules_that_are_needed(node: FakeNode) -> None:
    root = node.host.root
    pf = node.igb()
    node.host.draw()
    os.makedirs(root / "sys/bus/pci/drivers/virtio_blk", exist_ok=True)
    for driver, module in (("igb", "igb"), ("virtio_blk", "virtio_blk")):
        os.symlink(f"/sys/module/{module}", root / f"sys/bus/pci/drivers/{driver}/module")
    (root / "sys/devices/virtio0").mkdir(parents=True)
    os.symlink("../../bus/pci/drivers/virtio_blk", root / "sys/devices/virtio0/driver")
    (root / "sys/class/block/vda").mkdir(parents=True)
    os.symlink("../../../devices/virtio0", root / "sys/class/block/vda/device")
    os.makedirs(root / "sys/bus/pci_express/drivers/pcieportdrv")
    os.symlink("/sys/module/pcieportdrv", root / "sys/bus/pci_express/drivers/pcieportdrv/module")
    os.symlink("../bus/pci_express/drivers/pcieportdrv", root / "sys/devices/driver")
    node.put("/proc/modules", "igb 1 0 - Live 0x0\npsmouse 1 0 - Live 0x0\n")
    node.put(f"/lib/modules/{OLD}/modules.builtin", "kernel/drivers/block/virtio_blk.ko\n")
    found = kernel_modules.facts(node.host.sysfs, NEW, read_pfs(node.host.sysfs, vfs=False))
    assert found.needed == {"igb": f"PF {pf.address}", "virtio_blk": "block device vda"}
    assert found.loaded == {"igb", "psmouse"}


@pytest.mark.parametrize(
    ("symbols", "interface"),
    [
        (None, None),
        ("ffffffff B The real System.map is in the linux-image-dbg package\n", None),
        ("0 t sriov_numvfs_store\n", "stock"),
        ("0 t sriov_numvfs_store\n0 t sriov_numvfs_no_scan_store\n0 t sriov_scan_vf_id_store\n", "vf-id-narrow"),
        ("0 sriov_numvfs\n0 sriov_numvfs_no_scan\n0 sriov_scan_vf_id\n0 sriov_remove_vf_id\n", "vf-id"),
    ],
)
def test_interface_of_a_kernel_that_does_not_run(node: FakeNode, symbols: str | None, interface: str | None) -> None:
    path = f"/boot/System.map-{NEW}"
    (node.host.root / path.lstrip("/")).unlink()
    if symbols is not None:
        node.put(path, symbols)
    assert kernel_facts.read(node.host.sysfs, NEW, "auto").interface == interface


@pytest.mark.parametrize(
    ("symbols", "extra", "keeps"),
    [
        ("0 B pci_sriov_keep_vfs\n", "", False),
        ("0 B pci_sriov_keep_vfs\n", "quiet pci=sriov_keep_vfs", True),
        ("0 B pci_sriov_keep_vfs\n", "pci=noaer,sriov_keep_vfs=8086:10c9;1b36:10", True),
        ("0 B pci_sriov_keep_vfs\n", "sriov_keep_vfs pci=sriov_keep_vfs_not", False),
        ("0 B pci_sriov_keep_vfs\n", 'x="a pci=sriov_keep_vfs b"', False),
        ("0 B pci_sriov_keep_vfs\n", 'pci="sriov_keep_vfs"', True),
        ("0 t sriov_numvfs_store\n", "pci=sriov_keep_vfs", False),
    ],
)
def test_a_kernel_keeps_vfs_when_it_can_and_its_command_line_says_so(
    node: FakeNode, symbols: str, extra: str, keeps: bool
) -> None:
    node.put(f"/boot/System.map-{NEW}", symbols)
    assert kernel_facts.read(node.host.sysfs, NEW, "auto", extra).keeps_vfs is keeps


def test_the_folder_of_states_is_where_its_links_lead(node: FakeNode) -> None:
    node.put("/proc/mounts", "/dev/vda / ext4 rw 0 0\ntmpfs /fast tmpfs rw 0 0\n")
    (node.host.root / "fast").mkdir()
    (node.host.root / "var/lib").mkdir(parents=True, exist_ok=True)
    (node.host.root / "var/lib/kvmfleet-sriov/live-update").symlink_to(node.host.root / "fast")
    assert facts.gather(node.host.sysfs, node.run, [node.qemu], NEW).disk_kind == "tmpfs"


def test_a_mount_hides_what_was_mounted_there_before(node: FakeNode) -> None:
    node.put("/proc/mounts", "/dev/vda / ext4 rw 0 0\n/dev/vdb /var/lib ext4 rw 0 0\ntmpfs /var/lib tmpfs rw 0 0\n")
    (node.host.root / "var/lib").mkdir(parents=True, exist_ok=True)
    assert facts.gather(node.host.sysfs, node.run, [node.qemu], NEW).disk_kind == "tmpfs"


@pytest.mark.parametrize(("name", "volatile"), [("zram0", True), ("ram3", True), ("vdb", False)])
def test_a_file_system_on_a_disk_in_memory(node: FakeNode, name: str, volatile: bool) -> None:
    device = node.host.root / "sys/devices/virtual/block" / name
    device.mkdir(parents=True)
    (node.host.root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
    (node.host.root / "sys/dev/block/9:7").symlink_to(device)
    (node.host.root / "var/lib").mkdir(parents=True, exist_ok=True)
    node.put("/proc/self/mountinfo", f"1 0 9:7 / / rw - ext4 /dev/{name} rw\n")
    found = facts.gather(node.host.sysfs, node.run, [node.qemu], NEW)
    assert (found.disk_kind, found.disk_in_memory) == ("ext4", volatile)


def test_watchdogs_disk_memory_and_phase(node: FakeNode) -> None:
    node.put("/sys/class/watchdog/watchdog0/state", "active\n")
    node.put("/sys/class/watchdog/watchdog0/timeout", "30\n")
    node.put("/sys/class/watchdog/watchdog1/dev", "10:130\n")
    node.put("/proc/mounts", "/dev/vda / ext4 rw 0 0\ntmpfs /var/lib tmpfs rw 0 0\n")
    (node.host.root / "var/lib").mkdir(parents=True, exist_ok=True)
    found = facts.gather(node.host.sysfs, node.run, [node.qemu], NEW)
    assert [(dog.name, dog.active, dog.timeout_s) for dog in found.watchdogs] == [("watchdog0", True, 30.0)]
    assert found.disk_kind == "tmpfs"
    assert found.memory_free_bytes == 4000000 * 1024
    assert (found.phase, found.not_installed, found.journal_persistent) == (None, (), True)


@pytest.mark.parametrize(
    ("running", "extra", "expected"),
    [
        ("BOOT_IMAGE=/vmlinuz root=/dev/vda ro", "", "root=/dev/vda ro panic=30 kvmfleet.update=m2"),
        ("root=/dev/vda panic=5 kvmfleet.update=m1", "", "root=/dev/vda panic=5 kvmfleet.update=m2"),
        ("initrd=/a root=/dev/vda", "quiet panic=1", "root=/dev/vda quiet panic=1 kvmfleet.update=m2"),
        ("pci=a quiet panic=1", "-pci=a -quiet pci=b -never", "panic=1 pci=b kvmfleet.update=m2"),
        ("pci=a quiet panic=1", "pci=a pci=b", "pci=a quiet panic=1 pci=b kvmfleet.update=m2"),
        ('x="a  b  panic=1"\tro', "", 'x="a  b  panic=1" ro panic=30 kvmfleet.update=m2'),
        ('x="a initrd=b" panic=1', "", 'x="a initrd=b" panic=1 kvmfleet.update=m2'),
        ("file panic=1", 'dyndbg="file a.c -p"', 'file panic=1 dyndbg="file a.c -p" kvmfleet.update=m2'),
        ('dyndbg="file a.c +p" panic=1', '-dyndbg="file a.c +p"', "panic=1 kvmfleet.update=m2"),
        ("ro -- single panic=5", "quiet", "ro quiet panic=30 kvmfleet.update=m2 -- single panic=5"),
        ("ro -- single", "-single panic=2", "ro panic=2 kvmfleet.update=m2 --"),
    ],
)
def test_command_line_of_the_new_kernel(running: str, extra: str, expected: str) -> None:
    assert kexec.command_line(running, "m2", "kvmfleet.update", extra) == expected
