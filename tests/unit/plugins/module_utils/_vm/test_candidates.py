# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that could be VMs, and those that only look like one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import candidates
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted, stat
from tests.fake.vm.update import arm, live, request, result

NOBODY = 65534
SESSION = "/user.slice/user-1000.slice/session-3.scope"


def verdict(node: FakeNode, options: Options | None = None) -> tuple[list[str], list[str]]:
    """Codes of refusals and of warnings."""
    _facts, found = _arm.examine(node.live, request(**({"options": options} if options else {})))
    return [one.code for one in found.refusals], [one.code for one in found.warnings]


@pytest.mark.parametrize(
    "words", [("-name", "{"), ("-name", "guest=web1"), ("-qmp", "unix:/tmp/silent"), ("-m", "9" * 5000)]
)
def test_a_persons_program_named_like_qemu_stops_nobody(node: FakeNode, pf: FakePf, words: tuple[str, ...]) -> None:
    node.process("qemu-kvm", *words, uid=NOBODY, group=SESSION)
    assert node.qemu.pid("web1") == node.qemus[0].pid
    assert verdict(node) == ([], ["stranger"])
    arm(node)
    node.scripts["web1"].migrate = "fails"
    assert save.run(node.live) == "aborted"
    assert live(node).status == "running"


@pytest.mark.parametrize(
    "group",
    [
        "/machine.slice/libpod-4f2a.scope/container",
        "/machine.slice/machine-web.scope/payload",
        "/machine.slice/systemd-nspawn@web.service/payload",
        r"/machine.slice/machine-lxc\x2d7\x2dqemu.scope/machine-qemu.scope",
    ],
)
def test_somebody_in_a_container_stops_nobody(node: FakeNode, pf: FakePf, group: str) -> None:
    """With its users mapped to others: root there is nobody here."""
    node.process("qemu-kvm", "-name", "guest=web1", uid=100000, group=group)
    node.process("qemu-kvm", "-name", "{", uid=100000, group=group)
    assert node.qemu.pid("web1") == node.qemus[0].pid
    assert verdict(node) == ([], ["stranger", "stranger"])
    node.qemus[0].end()
    assert node.qemu.pid("web1") is None


@pytest.mark.parametrize("scope", ["machine-qemu-1-web1.scope", r"machine-qemu\x2d1\x2dweb1.scope"])
def test_a_vm_of_libvirt_is_one_whoever_it_runs_as(node: FakeNode, scope: str) -> None:
    node.process("qemu-kvm", "-name", "guest=web9", uid=64055, group=f"/machine.slice/{scope}/libvirt/emulator")
    assert node.qemu.pid("web9") is not None


@pytest.mark.parametrize(
    ("program", "holds"),
    [
        ("cloud-hypervisor", ["/dev/kvm", "anon_inode:kvm-vm"]),
        ("firecracker", ["anon_inode:kvm-vm"]),
        ("dpdk-testpmd", ["/dev/vfio/12"]),
        ("crosvm", ["/dev/iommu", "/dev/vfio/devices/vfio3"]),
        ("vdpa-user", ["/dev/vhost-vdpa-0"]),
        ("my-own-qemu", ["/dev/kvm"]),
        ("qemu-system-x86_64", []),
    ],
)
def test_another_vmm_is_a_refusal(node: FakeNode, pf: FakePf, program: str, holds: list[str]) -> None:
    """Even a QEMU under TCG, without name and monitor, that is root's."""
    node.process(program, group="/system.slice/other.service", holds=holds)
    refused, _warned = verdict(node)
    assert set(refused) == ({"stranger"} if holds else {"vm"})
    if holds:
        assert verdict(node, Options(boot_s=1.0, host_services=("other.service",)))[0] == []


def test_a_persons_vm_is_a_refusal(node: FakeNode, pf: FakePf) -> None:
    node.process("qemu-system-x86_64", uid=1000, group=SESSION, holds=["/dev/kvm"])
    assert verdict(node)[0] == ["stranger"]


@pytest.mark.parametrize("number", [None, "c 1:3"], ids=["a plain file", "another device"])
@pytest.mark.parametrize("name", ["/dev/kvm", "/dev/vfio/12", "/dev/vhost-vdpa-0"])
def test_a_file_that_a_person_has_given_the_name(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch, name: str, number: str | None
) -> None:
    """In namespaces of their own; it stops no update."""
    pid = node.process("python3", uid=NOBODY, group=SESSION, holds=[name])
    real = node.host.sysfs.device_number

    def device_number(path: str) -> str | None:
        return number if path.startswith(f"/proc/{pid}/") else real(path)

    monkeypatch.setattr(node.host.sysfs, "device_number", device_number)
    assert verdict(node) == ([], [])


def test_a_file_of_that_name_is_not_asked_on_a_server_that_may_not_answer(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = node.process("python3", uid=NOBODY, group=SESSION, holds=["/dev/kvm"])
    node.put(f"/proc/{pid}/fdinfo/0", "flags:\t02\nmnt_id:\t41\n")
    node.put(f"/proc/{pid}/mountinfo", "41 1 0:50 / /dev rw - fuse.mine mine rw\n")
    asked: list[str] = []
    monkeypatch.setattr(node.host.sysfs, "device_number", asked.append)
    assert verdict(node) == ([], [])
    assert [path for path in asked if path.startswith("/proc/")] == []


@pytest.mark.parametrize("holds", [["/dev/vfio/vfio"], ["/dev/null"], ["anon_inode:[eventfd]"], ["/dev/kvmfr0"]])
def test_what_is_no_vm(node: FakeNode, pf: FakePf, holds: list[str]) -> None:
    """The container node of VFIO alone gives no device."""
    node.process("python3", holds=holds)
    assert verdict(node) == ([], [])


def refused(node: FakeNode, words: str) -> None:
    assert save.run(node.live) == "aborted"
    assert words in result(node)["error"]
    assert not (node.host.root / "var/lib/kvmfleet-sriov/live-update/vms/web1/state").exists()
    assert live(node).status == "running"
    assert len(live(node).devices) == 1


def test_a_vm_that_was_started_after_arming(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.vm("late")
    refused(node, "could be a VM, and is none that was armed")
    assert live(node, "late").status == "running"


def test_a_vm_that_was_started_again_after_arming(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    live(node).end()
    node.vm("web1", pf, 6)
    refused(node, "it was 1000 when the update was armed: arm it again")


def test_a_vm_that_starts_while_others_are_saved(node: FakeNode, pf: FakePf) -> None:
    """It is seen before disks are made read-only, and all come back."""
    arm(node)
    discard = node.qemu.discard

    def late(vm: object) -> None:
        discard(vm)  # type: ignore[arg-type]  # as it is given
        node.process("qemu-system-x86_64", "-name", "late", holds=["/dev/kvm"])

    object.__setattr__(node.qemu, "discard", late)
    assert save.run(node.live) == "aborted"
    assert "could be a VM" in result(node)["error"]
    assert [phase["name"] for phase in result(node)["phases"]][-1] == "saved"
    assert live(node).status == "running"


def test_a_declared_service_is_no_reason(node: FakeNode, pf: FakePf) -> None:
    node.process("ovs-vswitchd", group="/system.slice/ovs-vswitchd.service", holds=["/dev/vfio/7"])
    arm(node, options=Options(boot_s=1.0, host_services=("ovs-vswitchd.service",)))
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_a_process_that_ends_meanwhile(node: FakeNode, pf: FakePf) -> None:
    pid = node.process("qemu-kvm", holds=["/dev/kvm"])
    (node.host.root / "proc" / str(pid) / "stat").unlink()
    assert [one.pid for one in candidates.candidates(node.host.sysfs)] == [node.qemus[0].pid]


@pytest.mark.parametrize("name", ["a b", "a) R 1", "((", ""])
def test_start_of_a_process_with_an_odd_name(node: FakeNode, name: str) -> None:
    pid = node.process("python3")
    node.put(f"/proc/{pid}/stat", stat(pid, name, 4711))
    assert candidates.started(node.host.sysfs, pid) == 4711


def test_start_of_a_real_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert candidates.started(Sysfs(), child.pid) >= candidates.started(Sysfs(), os.getpid()) > 0
        assert candidates.program(Sysfs(), child.pid).startswith("python")
    finally:
        child.kill()
        child.wait()
