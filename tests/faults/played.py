# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on this machine: real QEMUs, a played kernel.

The node program's processes each make one from the same folder: what a real host would keep (hardware, units, files) is
there. A boot keeps the disks alone.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec import Kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.registry import backends
from tests.fake.linux.host import FakeHost
from tests.fake.vm.node import NEW, OLD, FakeNode, NodeSysfs

from . import vfio
from .played_systemd import PlayedSystemd

PF = "0000:03:00.0"
VFS = 7
JUMPED = "jumped"
"""File that a process leaves which has started the next kernel."""
CUT = "power-cut"
"""File that a process leaves at whose act the power was cut."""


def state_of(pid: int) -> tuple[str, int]:
    """(state, start) of a process; X for one that is gone (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[19])


@dataclass(frozen=True)
class Guest:
    """A QEMU that was started, as far as a unit knows it."""

    name: str
    unit: str
    pid: int
    start: int

    @property
    def alive(self) -> bool:
        state, start = state_of(self.pid)
        return start == self.start and state not in "ZX"

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        while self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)


class PlayedSysfs(NodeSysfs):
    """Files of the played host, its QEMUs' among them."""

    def __init__(self, host: FakeHost, units: Callable[[], list[Guest]]) -> None:
        super().__init__(host)
        self.units = units

    def read(self, path: str) -> str:
        text = super().read(path)
        found = re.fullmatch(r"/proc/(\d+)/(cmdline|cgroup|status)", path)
        if found is None:
            return text
        if found[2] == "cmdline":
            return "\0".join(vfio.shown(text.split("\0")))
        if found[2] == "cgroup":
            unit = next((one.unit for one in self.units() if one.pid == int(found[1])), "x.service")
            return f"0::/system.slice/{unit}"
        return re.sub(r"(?m)^Uid:.*$", "Uid:\t0\t0\t0\t0", text)


class PlayedHost(FakeNode):
    """The host in ``folder``; its files are below ``root``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self.fresh, self._kept = not self.root.exists(), b""
        super().__init__(self.root)
        self.systemd = PlayedSystemd(self)
        self.host.sysfs = PlayedSysfs(self.host, self.units)
        if self.fresh:
            self._own_files()
            self.igb(PF, "eth0", VFS)
        else:
            self._load_hardware()
        self.qemus = self.units()  # type: ignore[assignment]  # as far as FakeNode asks: alive, name, unit
        self.host.draw()
        self._draw = self.host.draw
        self.host.draw = self._drawn  # type: ignore[method-assign]  # to keep what is drawn
        self.keep()

    def live_host(self, deadlines: Deadlines, log: Callable[[str], None]) -> LiveHost:
        """What the live update acts on, with the deadlines of its options."""
        sysfs = self.host.sysfs
        kexec = Kexec(sysfs, self.run, "x86_64", self._load, self._reboot, lambda: None)
        return LiveHost(sysfs, self.run, backends(sysfs, self.run, deadlines), kexec, log)

    def units(self) -> list[Guest]:
        """QEMUs that were started since the last boot, some may have ended."""
        file = self.folder / "units"
        return [Guest(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def alive(self, name: str) -> list[Guest]:
        return [one for one in self.units() if one.name == name and one.alive]

    def disk(self, name: str) -> Path:
        return self.root / "disks" / f"{name}.img"

    def command_line(self, name: str, vf: int) -> list[str]:
        """The command line of a VM, as with a VF."""
        monitor = self.root / "run/kvmfleet-vm" / f"{name}.qmp"
        return [
            "qemu-system-x86_64", "-name", f"guest={name},debug-threads=on", "-accel", "tcg", "-M", "q35", "-m", "16",
            "-nodefaults", "-display", "none", "-device", "pcie-root-port,id=rp1,chassis=1",
            "-device", f"vfio-pci,id=vf0,bus=rp1,host={self.host.pfs[PF].vf_address(vf)}",
            "-drive", f"file={self.disk(name)},format=raw,if=none,id=d0,file.locking=off", "-device", "ide-hd,drive=d0",
            "-qmp", f"unix:{monitor},server=on,wait=off",
        ]  # fmt: skip

    def launch(self, argv: Sequence[str], unit: str) -> Guest:
        """Start a QEMU, in a unit of the host."""
        (self.root / "run/kvmfleet-vm").mkdir(parents=True, exist_ok=True)
        name = argv[list(argv).index("-name") + 1].split(",")[0].removeprefix("guest=")
        with (self.folder / f"{unit}.log").open("ab") as log:
            process = subprocess.Popen(
                vfio.started(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd="/",
                start_new_session=True, env={"PATH": os.environ["PATH"], "LANG": "C"},
            )  # fmt: skip
        guest = Guest(name, unit, process.pid, state_of(process.pid)[1])
        (self.root / "proc" / str(guest.pid)).symlink_to(f"/proc/{guest.pid}")
        with (self.folder / "units").open("a") as file:
            file.write(json.dumps(vars(guest)) + "\n")
        return guest

    def keep(self) -> None:
        """Keep the hardware for the next process."""
        with self.host.lock:
            state = pickle.dumps((self.host.pfs, self.host.drivers, self.host._groups, self.loaded, self._drivers))
            if state != self._kept:
                aside = self.folder / f".hardware-{os.getpid()}"
                aside.write_bytes(state)
                aside.replace(self.folder / "hardware")
                self._kept = state

    def end_guests(self) -> None:
        for one in self.units():
            one.end()

    def boot(self, release: str, cmdline: str) -> None:
        """Boot a kernel: only files on disk, and hardware without VFs, stay."""
        self.kexec(cmdline)
        self.loaded = None
        self.put("/proc/sys/kernel/osrelease", release + "\n")
        for name in os.listdir(self.root / "proc"):
            if name.isdigit() and name != "1":
                (self.root / "proc" / name).unlink()
        for name in ("units", JUMPED, CUT):
            (self.folder / name).unlink(missing_ok=True)
        self.qemus = []
        self.keep()

    def run(self, argv: Sequence[str]) -> str:
        self.qemus = self.units()  # type: ignore[assignment]  # as above
        answer = super().run(argv)
        self.keep()
        return answer

    def refusal(self, address: str) -> str | None:
        """Why VFIO does not open a VF.

        It is not there, or has another driver (drivers/vfio/)."""
        found = self.vf(address)
        if found is None:
            return "no such device"
        return None if found.driver == "vfio-pci" else f"it is bound to {found.driver}, not to vfio-pci"

    def _drawn(self) -> None:
        self._draw()
        self.keep()

    def _files(self) -> None:
        if self.fresh:
            super()._files()

    def _own_files(self) -> None:
        """Files to compare real QEMUs with, and paths as they see them."""
        for kind in ("mnt", "net"):
            link = self.root / f"proc/1/ns/{kind}"
            link.unlink()
            link.symlink_to(os.readlink(f"/proc/self/ns/{kind}"))
        self.put("/proc/1/status", Path("/proc/self/status").read_text())
        inner = self.root / str(self.root).lstrip("/")
        inner.parent.mkdir(parents=True)
        inner.symlink_to(self.root)

    def _load_hardware(self) -> None:
        self._kept = (self.folder / "hardware").read_bytes()
        state = pickle.loads(self._kept)
        self.host.pfs, self.host.drivers, self.host._groups, self.loaded, self._drivers = state

    def _load(self, number: int, kernel: int, initrd: int, length: int, text: bytes | None, flags: int) -> int:
        errno = super()._load(number, kernel, initrd, length, text, flags)
        self.keep()
        return errno

    def _reboot(self, command: int) -> int:
        """Start the loaded kernel: all processes are gone."""
        assert command == 0x45584543
        if self.reboot_errno:
            return self.reboot_errno
        assert self.loaded is not None
        (self.folder / JUMPED).write_text(self.loaded)
        self.end_guests()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it outlived its end")


def firmware_line() -> str:
    """The command line of the kernel that firmware starts."""
    return "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet"


def boot_by_firmware(host: PlayedHost) -> None:
    host.boot(OLD, firmware_line())


def boot_by_kexec(host: PlayedHost, cmdline: str) -> None:
    host.boot(NEW, cmdline)
