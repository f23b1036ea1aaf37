# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs plug and unplug VFs, which is seen in /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import DeadlineError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import vm_commands
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines, StragglerError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command import processes, refusals
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.facts import CommandFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.command.managed import Managed
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import UsedVf, VmFacts

VFS = ("0000:01:10.0", "0000:01:10.2")
WORDS = {key: ["/bin/vm", key, "{name}"] for key in ("save", "saved", "restore", "discard")}
COMMANDS = vm_commands.parse(
    {"pid_file": "/run/vms/{name}.pid", **WORDS, "release": ["/bin/vm", "release", "{name}", "{vf}"],
     "attach": ["/bin/vm", "attach", "{name}", "{vf}"]},
    "",
)  # fmt: skip


@dataclass
class Host:
    """A process with VFs in groups 7 and 8."""

    root: Path
    works: bool = True
    ran: list[list[str]] = field(default_factory=list)

    def make(self) -> None:
        for number, vf in enumerate(VFS):
            device = self.root / f"sys/bus/pci/devices/{vf}"
            device.mkdir(parents=True)
            self.bind(vf, "vfio-pci")
            group = self.root / f"sys/kernel/iommu_groups/{7 + number}/devices"
            group.mkdir(parents=True)
            (group / vf).symlink_to(device)
        (self.root / "run/vms").mkdir(parents=True)
        (self.root / "run/vms/100.pid").write_text("41\n")
        process = self.root / "proc/41"
        (process / "fd").mkdir(parents=True)
        (process / "cmdline").write_bytes(b"/usr/bin/kvm\0-pidfile\0/run/vms/100.pid\0")
        (process / "status").write_text("Uid:\t0\t0\t0\t0\n")
        (process / "cgroup").write_text("0::/qemu.slice/100.scope\n")
        for vf in VFS:
            self.plug(vf)

    def bind(self, vf: str, driver: str) -> None:
        link = self.root / f"sys/bus/pci/devices/{vf}/driver"
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../drivers/{driver}")

    def plug(self, vf: str) -> None:
        (self.root / f"proc/41/fd/{20 + VFS.index(vf)}").symlink_to(f"/dev/vfio/{7 + VFS.index(vf)}")

    def run(self, argv: Sequence[str], _seconds: float) -> str:
        self.ran.append(list(argv))
        if self.works and argv[1] == "release":
            os.unlink(self.root / f"proc/41/fd/{20 + VFS.index(argv[3])}")
        elif self.works and argv[1] == "attach":
            self.plug(argv[3])
        return ""

    def vm(self) -> Managed:
        deadlines = Deadlines(unplug_s=0.05, answer_s=0.05)
        return Managed(Sysfs(str(self.root)), self.run, "100", COMMANDS, deadlines, lambda _seconds: None)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.make()
    return host


def test_vfs_are_released_and_attached_one_by_one(host: Host) -> None:
    assert host.vm().held() == set(VFS)
    host.vm().release(VFS)
    assert host.vm().held() == set()
    host.vm().attach(VFS)
    assert host.vm().held() == set(VFS)
    host.vm().attach(VFS)
    assert host.ran == [["/bin/vm", verb, "100", vf] for verb in ("release", "attach") for vf in VFS]


def test_a_release_that_lies_is_a_straggler(host: Host) -> None:
    host.works = False
    with pytest.raises(StragglerError, match=r"its process has VF 0000:01:10\.0, 0000:01:10\.2 open still"):
        host.vm().release(VFS)


def test_a_late_release_is_a_straggler(host: Host) -> None:
    def late(argv: Sequence[str], seconds: float) -> str:
        raise DeadlineError(f"'{argv[0]}' did not end within {seconds:g} s")

    vm = host.vm()
    with pytest.raises(StragglerError, match="did not end within"):
        Managed(vm.sysfs, late, vm.name, vm.commands, vm.deadlines).release(VFS)


def test_an_attach_that_lies_is_found_out(host: Host) -> None:
    host.vm().release(VFS)
    host.works = False
    with pytest.raises(SriovError, match=r"its process has not opened VF 0000:01:10\.0, 0000:01:10\.2"):
        host.vm().attach(VFS)


def test_a_vf_of_another_driver_is_not_attached(host: Host) -> None:
    host.vm().release(VFS)
    host.bind(VFS[1], "igbvf")
    with pytest.raises(SriovError, match=r"VF 0000:01:10\.2 has driver igbvf, not vfio-pci"):
        host.vm().attach(VFS)


@pytest.mark.parametrize("line", [b"", b"/usr/bin/kvm\0-pidfile\0/run/vms/101.pid\0"])
def test_a_pid_that_was_used_again_is_no_vm(host: Host, line: bytes) -> None:
    (host.root / "proc/41/cmdline").write_bytes(line)
    assert host.vm().pid is None


def test_a_process_of_somebody_else_is_no_vm(host: Host) -> None:
    (host.root / "proc/41/status").write_text("Uid:\t1000\t1000\t1000\t1000\n")
    assert host.vm().pid is None


def test_an_image_is_known_by_a_name_that_stays(host: Host) -> None:
    """Numbers of /dev/dm-N move; logs and memory are no images."""
    (host.root / "dev/mapper").mkdir(parents=True)
    (host.root / "dev/dm-5").write_text("disk")
    (host.root / "dev/mapper/pve-vm--100").symlink_to("../dm-5")
    (host.root / "proc/41/fdinfo").mkdir()
    for number, (target, flags) in enumerate(
        {"/dev/dm-5": "0500002", "/var/log/100.log": "0102001", "/run/vms/100.pid": "02", "/memfd:ram": "02"}.items()
    ):
        (host.root / f"proc/41/fd/{number}").symlink_to(target)
        (host.root / f"proc/41/fdinfo/{number}").write_text(f"pos:\t0\nflags:\t{flags}\n")
    for vf in range(2):
        (host.root / f"proc/41/fdinfo/{20 + vf}").write_text("flags:\t01\n")
    sysfs = Sysfs(str(host.root))
    found = processes.images(sysfs, 41, "/run/vms/100.pid")
    assert [image.name for image in found] == ["/dev/mapper/pve-vm--100"]
    line = b"/usr/bin/kvm\0-pidfile\0/run/vms/100.pid\0-drive\0file=rbd:pool/vm-100,if=none\0"
    (host.root / "proc/41/cmdline").write_bytes(line)
    found = processes.images(sysfs, 41, "/run/vms/100.pid")
    assert [(image.kind, image.storage) for image in found][1:] == [("unchecked", "shared")]


def test_refusals() -> None:
    bare = vm_commands.parse({"pid_file": "/run/vms/{name}.pid", **WORDS}, "")
    facts = CommandFacts(bare, missing=("/bin/vm",), replaced=("/dev/vg/a",))
    vm = VmFacts("100", "command", 41, 1, "", facts, (UsedVf("0000:01:00.0", 0, VFS[0]),))
    assert [problem for problem, _fix in refusals.problems(vm)] == [
        "/bin/vm of vm_commands is no program that root can run here",
        "it has VF 0000:01:10.0, and vm_commands cannot unplug it",
        "its image /dev/vg/a was replaced by another file since its start",
    ]
    assert [fix for _problem, fix in refusals.problems(vm, "shutdown")][-2:] == [
        "add shutdown to vm_commands, or save it", "add start to vm_commands, or save it",
    ]  # fmt: skip
