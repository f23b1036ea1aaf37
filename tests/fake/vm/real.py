# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real QEMU under TCG, and the backend for it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _qemu_argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm

PROGRAM = shutil.which("qemu-system-x86_64")
NEEDS_QEMU = (
    pytest.mark.heavy,
    pytest.mark.skipif(PROGRAM is None, reason="qemu-system-x86_64 is not installed"),
)
"""Marks of tests that start QEMU."""
NEEDS_QEMU_AND_IMAGES = (
    *NEEDS_QEMU,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed"),
)
"""Marks of tests that start it with images that qemu-img made."""


class Machine:
    """Starts processes as systemd-run would; all are ended with the test."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.qmp = str(folder / "q")
        self.argv = [
            str(PROGRAM), "-name", "guest=real", "-accel", "tcg", "-M", "q35", "-m", "32", "-nodefaults",
            "-display", "none",
            "-device", "pcie-root-port,id=rp1,chassis=1", "-qmp", f"unix:{self.qmp},server=on,wait=off",
            *words,
        ]  # fmt: skip
        self.backend = QemuBackend(
            Sysfs(), self.run, Deadlines(unplug_s=1.0, migrate_s=10.0, start_s=20.0, answer_s=10.0)
        )

    def run(self, argv: Sequence[str]) -> str:
        if argv[0] == "systemctl":
            return "active" if self.processes and self.processes[-1].poll() is None else "inactive"
        if argv[0] == "taskset":
            return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        self.start(list(argv)[list(argv).index("--") + 1 :])
        return ""

    def start(self, argv: list[str]) -> None:
        self.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def wait(self) -> None:
        """Wait until it answers.

        Its socket exists a moment before it listens.
        """
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(SriovError), _qmp.connect(self.qmp, 5.0):
                return
            time.sleep(0.01)
        raise AssertionError("QEMU does not answer")

    def vm(self, machines: dict[str, str]) -> ManifestVm:
        return ManifestVm(
            name="real", backend="qemu", priority=0, pid=self.processes[-1].pid, started=1, unit="real.service",
            cold_start=False, straggler="leave", on_other_kernel="restore", check={}, vfs=(),
            part={"qmp": self.qmp, "argv": self.argv, "restore_argv": _qemu_argv.for_restore(self.argv, machines),
                  "cwd": "/", "devices": {}},
        )  # fmt: skip

    def status(self) -> str:
        return self.backend.ask(self.qmp, self.argv).status

    def reap(self) -> None:
        """Collect the process once it ends, as its unit does."""
        threading.Thread(target=self.processes[-1].wait, daemon=True).start()

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(*words: str) -> Iterator[Machine]:
    """A QEMU that answers, with more ``words`` on its command line."""
    folder = Path(tempfile.mkdtemp(prefix="kf"))
    machine = Machine(folder, *words)
    try:
        machine.start(machine.argv)
        machine.wait()
        yield machine
    finally:
        machine.end()
        shutil.rmtree(folder)
