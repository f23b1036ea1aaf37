# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls that load and start a kernel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.jump import jump
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec import Kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BadInputError,
    KernelError,
    RefusedError,
    SriovError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


class SystemCalls:
    """The two system calls of kexec: their arguments and answers."""

    def __init__(self, root: Path, loads: int = 0, reboots: int = 16) -> None:
        self.root, self.loads, self.reboots = root, loads, reboots
        self.calls: list[tuple[Any, ...]] = []
        files = {"sys/kernel/kexec_loaded": "0", "proc/sysrq-trigger": "", "image": "k", "initrd": "i"}
        for path, text in {**files, "proc/mounts": "/dev/vda / ext4 rw 0 0"}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

    def syscall(self, number: int, kernel: int, initrd: int, length: int, text: bytes | None, flags: int) -> int:
        self.calls.append((number, initrd >= 0, length, text, flags))
        if self.loads == 0:
            (self.root / "sys/kernel/kexec_loaded").write_text("0" if flags & 1 else "1")
        return self.loads

    def reboot(self, command: int) -> int:
        self.calls.append(("reboot", command))
        (self.root / "proc/mounts").write_text("/dev/vda / ext4 ro 0 0")  # late, as SysRq may be
        return self.reboots

    def kexec(self, machine: str = "x86_64") -> Kexec:
        return Kexec(Sysfs(str(self.root)), self.run, machine, self.syscall, self.reboot, lambda: None)

    def run(self, argv: Any) -> str:  # noqa: ANN401 - stands in for any runner
        self.calls.append(tuple(argv))
        if argv[0] == "mount":
            (self.root / "proc/mounts").write_text("/dev/vda / ext4 rw 0 0")
        return ""


def test_load_and_unload(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", "/initrd", "root=x")
    assert kexec.loaded()
    kexec.load("/image", None, "root=x")
    kexec.unload()
    assert system.calls == [
        (320, True, 7, b"root=x\0", 0),
        (320, False, 7, b"root=x\0", 4),
        (320, False, 0, None, 1),
    ]
    assert kexec.image() is None


def test_number_of_the_system_call_depends_on_the_machine(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    system.kexec("aarch64").load("/image", None, "x")
    assert system.calls[0][0] == 294
    with pytest.raises(BadInputError, match="not known here for riscv64; known: aarch64, x86_64"):
        system.kexec("riscv64").load("/image", None, "x")


@pytest.mark.parametrize(
    ("number", "hint"),
    [(1, "a security module may forbid it"), (129, "its signature is not trusted"), (8, "not a kernel image")],
)
def test_refused_load_says_why(tmp_path: Path, number: int, hint: str) -> None:
    system = SystemCalls(tmp_path, loads=number)
    with pytest.raises(KernelError, match=hint):
        system.kexec().load("/image", None, "x")
    assert not system.kexec().loaded()


def test_what_the_kernel_took_is_read(tmp_path: Path) -> None:
    kexec = replace(SystemCalls(tmp_path).kexec(), syscall=lambda *_arguments: 0)
    with pytest.raises(SriovError, match=r"/image was taken by kexec_file_load but .*kexec_loaded is not 1"):
        kexec.load("/image", None, "x")
    assert kexec.image() is None


def test_nothing_is_started_when_nothing_is_loaded(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    with pytest.raises(RefusedError, match="no kernel is loaded"):
        jump(system.kexec())
    assert system.calls == []


def test_refused_start_makes_disks_writable_again(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", None, "x")
    with pytest.raises(KernelError, match="EBUSY"):
        jump(kexec, remount_s=0.02)
    assert system.calls[1:] == [("reboot", 0x45584543), ("mount", "-o", "remount,rw", "/")]
    assert (tmp_path / "proc/sysrq-trigger").read_text() == "u"


def test_orderly_start_leaves_it_to_systemd(tmp_path: Path) -> None:
    system = SystemCalls(tmp_path)
    kexec = system.kexec()
    kexec.load("/image", None, "x")
    jump(kexec, orderly=True)
    assert system.calls[1:] == [("systemctl", "kexec")]
    assert (tmp_path / "proc/sysrq-trigger").read_text() == ""
