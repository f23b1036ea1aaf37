# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that begin between the first look and the jump."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import newcomers, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.newcomers import Newcomers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import uevents
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import dry_start
from tests.fake.linux.pf import FakePf
from tests.fake.vm.events import FakeUevents
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import arm, live, result

SERVICE = "/system.slice/libvirtd.service"


def events(node: FakeNode) -> FakeUevents:
    assert isinstance(node.events, FakeUevents)
    return node.events


def at(node: FakeNode, step: str, act: Callable[[], object]) -> None:
    """Do something at the begin of a step of the backend."""
    real = getattr(node.qemu, step)

    def late(*arguments: Any) -> Any:  # noqa: ANN401 - as it is given
        act()
        return real(*arguments)

    object.__setattr__(node.qemu, step, late)


def refused(node: FakeNode, words: str) -> None:
    assert save.run(node.live) == "aborted"
    assert words in result(node)["error"]
    assert (live(node).status, len(live(node).devices)) == ("running", 1)


@pytest.mark.parametrize("step", ["release", "save", "discard"])
def test_a_kvm_vm_that_is_made_meanwhile_ends_the_update(node: FakeNode, pf: FakePf, step: str) -> None:
    """Only the event shows it."""
    pid = node.process("my-own-vmm")
    arm(node)

    def begin() -> None:
        os.symlink("anon_inode:kvm-vcpu:0", node.host.root / f"proc/{pid}/fd/9")
        events(node).kvm("create", pid)

    at(node, step, begin)
    refused(node, f"process {pid} has started a VM since the last look at this host")


def test_it_is_noticed_before_any_vm_is_stopped(node: FakeNode, pf: FakePf) -> None:
    pid = node.process("my-own-vmm", holds=["/dev/null", "anon_inode:kvm-vcpu:0"])
    arm(node)
    at(node, "release", lambda: events(node).kvm("create", pid))
    refused(node, "has started a VM")
    assert ("web1", "stop") not in node.commands


def test_libvirts_question_is_waited_for(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM without virtual CPUs, which goes by itself."""
    pid = node.process("qemu-probe", group=SERVICE)
    arm(node)
    at(node, "release", lambda: events(node).kvm("create", pid))
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        events(node).kvm("destroy", pid)

    object.__setattr__(node.live, "sleep", sleep)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert len(sleeps) == 1


def test_a_dry_start_of_another_preflight_is_none(node: FakeNode, pf: FakePf) -> None:
    words = ["-name", f"guest={dry_start.NAME}"]
    pid = node.process("qemu-system-x86_64", *words, holds=["/dev/kvm", "anon_inode:kvm-vcpu:0"])
    arm(node)
    at(node, "release", lambda: events(node).kvm("create", pid))
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_a_question_that_does_not_end_is_a_vm(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "PROBE_S", 0.05)
    arm(node)
    at(node, "release", lambda: events(node).kvm("create", node.process("qemu-probe")))
    refused(node, "has started a VM")


def test_one_of_two_vms_of_a_process_that_stays(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "PROBE_S", 0.05)
    arm(node)

    def begin() -> None:
        for event in ("create", "create", "destroy"):
            events(node).kvm(event, 77)

    at(node, "release", begin)
    refused(node, "process 77 has started a VM")


@pytest.mark.parametrize("pid", ["", "x", "-1", "9" * 5000, "\u0663"])
def test_events_that_concern_nobody(node: FakeNode, pf: FakePf, pid: str) -> None:
    arm(node)

    def begin() -> None:
        events(node).kvm("create", pid)
        events(node).waiting += [{"ACTION": "add", "DEVPATH": "/devices/x"}, {}]
        events(node).kvm("destroy", live(node).pid)

    at(node, "release", begin)
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_a_vm_of_a_declared_service(node: FakeNode, pf: FakePf) -> None:
    pid = node.process("my-own-vmm", group=SERVICE, holds=["anon_inode:kvm-vcpu:0"])
    arm(node, options=Options(boot_s=1.0, host_services=("libvirtd.service",)))
    at(node, "release", lambda: events(node).kvm("create", pid))
    with pytest.raises(Rebooted):
        save.run(node.live)


def test_a_process_that_becomes_a_vm_without_kvm(node: FakeNode, pf: FakePf) -> None:
    """An execve, as of systemd's child; TCG raises no event."""
    pid = node.process("systemd-executor")
    arm(node)

    def begin() -> None:
        (node.host.root / f"proc/{pid}/exe").unlink()
        os.symlink("/usr/bin/qemu-system-x86_64", node.host.root / f"proc/{pid}/exe")

    at(node, "discard", begin)
    refused(node, f"process {pid} (qemu-system-x86_64")


def test_a_device_that_an_old_process_opens_while_vms_are_saved(node: FakeNode, pf: FakePf) -> None:
    pid = node.process("dpdk-testpmd")
    arm(node)
    at(node, "release", lambda: os.symlink("/dev/vfio/12", node.host.root / f"proc/{pid}/fd/9"))
    refused(node, f"process {pid} (dpdk-testpmd")


def test_open_files_are_not_read_at_the_jump(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """With thousands of processes that took most of a second of outage."""
    for _number in range(20):
        node.process("sleep", holds=["/dev/null"])
    arm(node)
    read: list[str] = []
    watch = Newcomers.begin(node.live, (), [(live(node).pid, live(node).pid * 10)])
    live(node).end()
    names = node.host.sysfs.names

    def noted(path: str) -> list[str]:
        read.append(path)
        return names(path)

    monkeypatch.setattr(node.host.sysfs, "names", noted)
    watch.require_none()
    assert "/proc" in read
    assert [path for path in read if path.endswith("/fd")] == []


@pytest.mark.parametrize("kind", ["qemu", "kvm"])
def test_a_vm_that_is_started_while_disks_are_synced(node: FakeNode, pf: FakePf, kind: str) -> None:
    """It would be ended by the jump, the moment after."""
    arm(node)
    names = {"qemu": "qemu-system-x86_64", "kvm": "my-own-vmm"}

    def begin() -> None:
        pid = node.process(names[kind], holds=["anon_inode:kvm-vcpu:0"] if kind == "kvm" else [])
        if kind == "kvm":
            events(node).kvm("create", pid)

    object.__setattr__(node.live.kexec, "sync", begin)
    refused(node, "could be a VM" if kind == "qemu" else "has started a VM since the last look")
    assert " rw" in (node.host.root / "proc/mounts").read_text()
    assert live(node).status == "running"


@pytest.mark.parametrize("kind", ["deaf", "lost"])
def test_without_events_the_last_look_is_a_full_one(node: FakeNode, pf: FakePf, kind: str) -> None:
    pid = node.process("my-own-vmm")
    heard = events(node)
    node.events = None if kind == "deaf" else heard
    arm(node)

    def begin() -> None:
        heard.lost = True
        os.symlink("/dev/kvm", node.host.root / f"proc/{pid}/fd/9")

    at(node, "discard", begin)
    refused(node, f"process {pid} (my-own-vmm")
    assert ("cannot be heard" in " ".join(node.log)) == (kind == "deaf")


def test_listening_begins_before_the_first_look(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def look(*_words: object) -> list[object]:
        order.append("look")
        return []

    object.__setattr__(node.live, "listen", lambda: order.append("listen"))
    monkeypatch.setattr(newcomers, "strangers", look)
    Newcomers.begin(node.live, (), [])
    assert order == ["listen", "look"]


def test_messages_of_the_kernel_are_read() -> None:
    text = b"change@/devices/virtual/misc/kvm\0ACTION=change\0DEVPATH=/devices/virtual/misc/kvm\0EVENT=create\0PID=7\0"
    assert uevents.parse(text) == {
        "ACTION": "change", "DEVPATH": "/devices/virtual/misc/kvm", "EVENT": "create", "PID": "7",
    }  # fmt: skip
    assert uevents.parse(b"\xff\0=\0a=b=c") == {"": "", "a": "b=c"}


def test_a_real_socket_listens() -> None:
    """Whether anything comes is the kernel's matter."""
    heard = uevents.listen()
    assert heard is not None
    assert subprocess.run(["true"], check=False).returncode == 0
    assert heard.read()[1] is False
    heard.connection.close()
