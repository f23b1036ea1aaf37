# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of saved VMs that others use, wherever the memory is.

In the QEMU that has saved it, which has released the disks, or in a file.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, vm_choices, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, RefusedError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import Fingerprint
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, claim, jump, live, result

DISK, OTHER = "/vm/web1.img", "vm-by-hand.service"
HOOK = "/usr/bin/ha-check"
READ, WRITE = "0100000", "0100002"


@pytest.fixture
def disked(node: FakeNode) -> FakeNode:
    """A node with VM web1 of one disk, and web2 of another."""
    pf = node.igb()
    node.images = {"web1": (DISK,), "web2": ("/vm/web2.img",)}
    node.vm("web1", pf, 6)
    node.vm("web2", pf, 2)
    return node


def written(node: FakeNode) -> None:
    """Another guest has used the disk, and ended."""
    with Path(node.host.sysfs.real(DISK)).open("a") as file:
        file.write("of another guest")


def opened(node: FakeNode, flags: str = WRITE, program: str = "qemu-system-x86_64") -> int:
    """Another process has the disk open, by any name."""
    real = node.host.sysfs.real
    pid = node.process(program, "-name", "guest=by-hand", group=f"/system.slice/{OTHER}", holds=(real(DISK),))
    node.put(f"/proc/{pid}/fdinfo/0", f"pos:\t0\nflags:\t{flags}\nmnt_id:\t30\n")
    return pid


def end(node: FakeNode, pid: int) -> None:
    shutil.rmtree(node.host.root / "proc" / str(pid))


def saved_and_given_up(node: FakeNode, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[FakeNode], object]) -> str:
    """Save all VMs, then end no QEMU; the phase after the abort."""

    def fails(_backend: object, vm: ManifestVm) -> None:
        if vm.name == "web1":
            meanwhile(node)
        raise RefusedError("it is not ended")

    with monkeypatch.context() as patch:
        patch.setattr(type(node.qemu), "discard", fails)
        return save.run(node.live)


def error(node: FakeNode, name: str = "web1") -> str:
    return str({vm["name"]: vm["error"] for vm in result(node)["vms"]}[name])


def test_a_saved_vm_is_not_continued_over_another_disk(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own QEMU has it still; a person may know better."""
    arm(disked)
    qemu = live(disked)
    assert saved_and_given_up(disked, monkeypatch, written) == "failed"
    assert (live(disked), qemu.status, claim(disked).state) == (qemu, "postmigrate", "saved")
    assert "cont" not in qemu.commands
    assert f"stands still and is not continued: its disks are not those that it was saved with (image {DISK}" in error(
        disked
    )
    assert "`cont` at its monitor continues it" in error(disked)
    assert live(disked, "web2").status == "running"
    assert way_out.restore(disked.live, ["web1"], confirmed=True) == "failed"
    assert qemu.status == "postmigrate"
    qemu.status = "running"
    assert way_out.restore(disked.live, ["web1"]) == "aborted"
    assert live(disked) is qemu


def test_a_saved_vm_is_not_continued_beside_another_guest(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which has not written yet."""
    arm(disked)
    qemu, others = live(disked), []
    assert saved_and_given_up(disked, monkeypatch, lambda node: others.append(opened(node))) == "failed"
    assert (qemu.status, claim(disked).state) == ("postmigrate", "saved")
    assert f"process {others[0]} (qemu-system-x86_64, {OTHER}) has its image {DISK} open for writing" in error(disked)
    end(disked, others[0])
    assert way_out.restore(disked.live, ["web1"]) == "aborted"
    assert qemu.status == "running"


def test_a_vm_whose_save_failed_late(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU has released its disks, which its claim does not say."""
    arm(disked)
    qemu = live(disked)
    others: list[int] = []

    def fails(path: str, _whole: bool) -> Fingerprint:
        if "web1" in path:
            others.append(opened(disked))
        raise KernelError("sync", path, errno.EIO)

    with monkeypatch.context() as patch:
        patch.setattr(state_file, "seal", fails)
        assert save.run(disked.live) == "failed"
    assert (qemu.status, claim(disked).state) == ("postmigrate", "unsaved")
    assert "cont" not in qemu.commands
    assert f"process {others[0]} (qemu-system-x86_64, {OTHER}) has its image {DISK} open for writing" in error(disked)
    assert live(disked, "web2").status == "running"
    end(disked, others[0])
    assert way_out.restore(disked.live, ["web1"]) == "aborted"
    assert (live(disked), qemu.status) == (qemu, "running")


def test_a_saved_vm_on_its_own_disk_goes_on(disked: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only reads is in nobody's way."""
    arm(disked)
    qemu = live(disked)
    assert saved_and_given_up(disked, monkeypatch, lambda node: opened(node, READ)) == "aborted"
    assert (live(disked), qemu.status) == (qemu, "running")


@pytest.mark.parametrize("program", ["qemu-system-x86_64", "qemu-nbd", "cloud-hypervisor"])
def test_no_vm_is_restored_beside_another_guest(disked: FakeNode, program: str) -> None:
    """Nor lost: its state waits for the other's end."""
    jump(disked)
    pid = opened(disked, WRITE, program)
    assert resume.resume(disked.live) == "failed"
    assert disked.live_vm("web1") is None
    assert claim(disked).state == "failed"
    assert f"process {pid} ({program}, {OTHER}) has its image {DISK} open for writing" in error(disked)
    assert "End that one, then `sriovctl live-update restore web1`" in error(disked)
    assert live(disked, "web2").status == "running"
    end(disked, pid)
    assert way_out.restore(disked.live, ["web1"]) == "done"
    assert live(disked).status == "running"


def test_no_vm_is_started_from_its_disk_beside_another_guest(disked: FakeNode) -> None:
    vms = vm_choices.by_name([{"name": "web1", "cold_start": True, "on_other_kernel": "cold-start"}])
    arm(disked, vms=vms)
    with pytest.raises(Rebooted):
        save.run(disked.live)
    disked.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
    pid = opened(disked)
    assert way_out.come_back(disked.live) == "failed"
    assert (disked.live_vm("web1"), claim(disked).state) == (None, "saved")
    assert f"process {pid} " in error(disked)


def test_readers_and_a_vms_own_process_are_in_nobodys_way(disked: FakeNode) -> None:
    jump(disked)
    opened(disked, READ)
    mine = disked.on_run

    def run(argv: list[str]) -> None:
        mine(argv)
        for qemu in disked.qemus:
            if qemu.alive and qemu.name == "web1":
                disked.put(f"/proc/{qemu.pid}/fdinfo/0", f"flags:\t{WRITE}\n")

    disked.on_run = run
    assert resume.resume(disked.live) == "done"


@pytest.mark.parametrize("agrees", [True, False])
def test_on_shared_storage_the_hook_is_asked_before_a_saved_vm_goes_on(
    disked: FakeNode, monkeypatch: pytest.MonkeyPatch, agrees: bool
) -> None:
    """Another host may have its disks, which QEMU has released."""
    disked.put("/proc/self/mountinfo", "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:50 / /vm rw - nfs4 nas:/vm rw\n")
    asked: list[list[str]] = []
    run = disked.live.run

    def hooked(argv: list[str]) -> str:
        if argv[0] != HOOK:
            return run(argv)
        asked.append(list(argv))
        if not agrees:
            raise ToolError(argv, 1, "it runs on h2")
        return ""

    object.__setattr__(disked.live, "run", hooked)
    arm(disked, options=replace(OPTIONS, confirm_not_elsewhere=(HOOK,)))
    qemu = live(disked)
    assert saved_and_given_up(disked, monkeypatch, lambda _node: None) == ("aborted" if agrees else "failed")
    assert sorted(asked) == [[HOOK, "web1"], [HOOK, "web2"]]
    assert qemu.status == ("running" if agrees else "postmigrate")
