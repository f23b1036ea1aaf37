# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake host for live updates: PFs, QEMUs and kexec.

A kexec forgets what a real one forgets.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec import Kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.uevents import Uevents
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Backend, Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.dry_run import CHILD
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.registry import backends

from ..boot import plain
from ..linux.host import FakeHost
from ..linux.pf import FakePf, FakeVf
from ..linux.sysfs import FakeSysfs
from .bridges import FakeBridges
from .events import FakeUevents
from .granted import Granted
from .qemu import FakeQemu, drives
from .script import Script
from .systemd import FakeSystemd

OLD, NEW = "6.12.0-old", "6.12.0-new"
NODES = {
    "/dev/kvm": "10:232", "/dev/iommu": "10:124", "/dev/vfio/7": "235:7", "/dev/vfio/12": "235:12",
    "/dev/vfio/devices/vfio3": "511:3", "/dev/vhost-vdpa-0": "510:0",
}  # fmt: skip
"""Character devices of the host, by path."""
DEADLINES = Deadlines(unplug_s=0.3, shutdown_s=0.3, migrate_s=1.0, start_s=1.0, answer_s=0.7)


def stat(pid: int, name: str, started: int | None = None) -> str:
    """The file /proc/PID/stat of a process: its start is field 22 (proc(5))."""
    return f"{pid} ({name}) S 1 {' '.join(['0'] * 17)} {pid * 10 if started is None else started} 0 0\n"


class Rebooted(BaseException):
    """The end of a process by reboot(2), which does not return."""


class NodeSysfs(FakeSysfs):
    """Sysfs that also takes /proc/sysrq-trigger, which remounts the disks read-only."""

    def _write(self, path: str, value: str) -> None:
        if path == "/proc/sysrq-trigger":
            mounts = self.host.root / "proc/mounts"
            mounts.write_text(mounts.read_text().replace(" rw", " ro"))
            return
        super()._write(path, value)


class FakeNode:
    """A host for live updates; ``live`` is what the live update takes.

    ``scripts``: faults, by VM; ``commands``: of all monitors, with the VM's name. ``images``: paths of the disks of VMs
    to come. ``reboot_errno``: how the kexec is refused. ``on_run``: called with each argv before it runs;
    ``on_move``: with the words that move a VM away, behind those of timeout(1).
    ``events``: of the kernel, None where it cannot be heard. ``answers``: who answers for an address, question by
    question, the last for ever.
    ``dry_start``: answer of a dry start to its command line.
    """

    def __init__(self, root: Path, interface: str = "vf-id") -> None:
        self.host = FakeHost(root, interface)
        self.host.sysfs = NodeSysfs(self.host)
        for path, number in NODES.items():
            self.host.node(path, number)
        self.scripts: dict[str, Script] = {}
        self.images: dict[str, Sequence[str]] = {}
        self.qemus: list[FakeQemu] = []
        self.plugged: list[tuple[str, str, dict[str, object]]] = []
        self.calls: list[list[str]] = []
        self.commands: list[tuple[str, str]] = []
        self.loaded: str | None = None
        self.reboot_errno = 0
        self.modules: set[str] = set()
        self.dry_start: Callable[[list[str]], dict[str, object]] = lambda argv: {"status": "inmigrate"}
        self.on_run: Callable[[list[str]], None] = lambda argv: None
        self.on_move: Callable[[list[str]], None] = lambda argv: None
        self.log: list[str] = []
        self.events: Uevents | None = FakeUevents()
        self.answers: dict[str, list[str | OSError | None]] = {}
        self.bridges = FakeBridges(root)
        self.systemd = FakeSystemd(self)
        self._pids = itertools.count(1000)
        self._drivers: dict[str, str | None] = {}
        self._files()
        self.live = LiveHost(
            sysfs=self.host.sysfs, run=self.run, backends=backends(self.host.sysfs, self.run, DEADLINES),
            kexec=Kexec(self.host.sysfs, self.run, "x86_64", self._load, self._reboot, lambda: None),
            log=self.log.append, ping=self._ping, arp=self._arp, run_long=self._run_long,
            listen=lambda: self.events,
        )  # fmt: skip

    @property
    def qemu(self) -> Backend:
        """The backend of its VMs."""
        return self.live.backends["qemu"]

    def put(self, path: str, text: str) -> None:
        target = self.host.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def _arp(self, address: str, _interface: str, _deadline_s: float) -> str | None:
        answers = self.answers.get(address, [None])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _ping(self, address: str, deadline_s: float) -> bool:
        return self._arp(address, "", deadline_s) is not None

    def boot_id(self) -> str:
        return (self.host.root / "proc/sys/kernel/random/boot_id").read_text().strip()

    def igb(self, address: str = "0000:03:00.0", netdev: str = "eth0", enabled: int = 7) -> FakePf:
        """Add a network PF: VFs enabled and present, autoprobe off."""
        pf = self.host.igb(address, netdev)
        pf.autoprobe = False
        self.host.setup(pf, enabled, range(enabled))
        self.put(f"/sys/class/net/{netdev}/flags", "0x1003\n")
        self.put(f"/sys/bus/pci/devices/{address}/modalias", f"pci:{address}\n")
        return pf

    def vm(self, name: str, pf: FakePf | None = None, vf_id: int = 0, **properties: object) -> FakeQemu:
        """Start a VM with one VF (or none) that carries ``properties``."""
        argv = ["qemu-system-x86_64", "-name", f"guest={name},debug-threads=on", "-M", "q35", "-m", "64"]
        if pf is not None:
            vf = pf.vfs[vf_id]
            vf.driver = vf.override = "vfio-pci"
            self.host.drivers.add("vfio-pci")
            pf.properties[vf_id].update(properties)
            self.host.draw()
            argv += ["-device", "pcie-root-port,id=rp1", "-device", f"vfio-pci,id=vf0,bus=rp1,host={vf.address}"]
        for number, image in enumerate(self.images.get(name, ())):
            self.put(image, f"disk {number} of {name}")
            argv += ["-drive", f"if=none,id=d{number},file={image}", "-device", f"virtio-blk-pci,drive=d{number}"]
        argv += ["-qmp", f"unix:/run/kvmfleet-vm/{name}.qmp,server=on,wait=off"]
        (self.host.root / "run/kvmfleet-vm").mkdir(parents=True, exist_ok=True)
        return self.start(argv, f"kvmfleet-vm-{name}.service")

    def start(self, argv: list[str], unit: str, granted: Granted | None = None) -> FakeQemu:
        """Start a QEMU in a unit."""
        pid = next(self._pids)
        proc = self.host.root / "proc" / str(pid)
        (proc / "ns").mkdir(parents=True)
        for kind in ("mnt", "net"):
            os.symlink(f"{kind}:[1]", proc / "ns" / kind)
        os.symlink("/usr/bin/qemu-system-x86_64", proc / "exe")
        os.symlink("/", proc / "cwd")
        self.systemd.granted[unit] = granted or Granted()
        for name, text in self.systemd.granted[unit].files(pid, unit).items():
            (proc / name).write_text(text)
        (proc / "cmdline").write_text("\0".join(argv) + "\0")
        self.open_images(pid, argv)
        qemu = FakeQemu(self, argv, unit, pid)
        self.bridges.attach(pid, argv)
        self.qemus.append(qemu)
        return qemu

    def open_images(self, pid: int, argv: list[str]) -> None:
        """Let a process have the images of a command line open."""
        folder = self.host.root / f"proc/{pid}/fd"
        folder.mkdir(exist_ok=True)
        for number, drive in enumerate(drives(argv)):
            os.symlink(self.host.sysfs.real(drive["file"]), folder / str(number))

    def process(
        self, program: str, *words: str, uid: int = 0, group: str = "/system.slice/x.service", holds: Sequence[str] = ()
    ) -> int:
        """Process id of another process, with these files open."""
        pid = next(self._pids)
        proc = self.host.root / "proc" / str(pid)
        (proc / "fd").mkdir(parents=True)
        os.symlink(f"/usr/bin/{program}", proc / "exe")
        for number, target in enumerate(holds):
            os.symlink(target, proc / "fd" / str(number))
        texts = {
            "status": f"Name:\t{program}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n", "cgroup": f"0::{group}\n",
            "stat": stat(pid, program), "cmdline": "\0".join([program, *words, ""]), "comm": f"{program[:15]}\n",
        }  # fmt: skip
        for name, text in texts.items():
            (proc / name).write_text(text)
        return pid

    def live_vm(self, name: str) -> FakeQemu | None:
        found = [qemu for qemu in self.qemus if qemu.alive and qemu.name == name]
        assert len(found) < 2, f"VM {name} runs twice"
        return found[0] if found else None

    def vf(self, address: str) -> FakeVf | None:
        return next((vf for pf in self.host.pfs.values() for vf in pf.vfs.values() if vf.address == address), None)

    def properties(self, address: str) -> dict[str, object]:
        """Properties of a VF, as its PF's driver has them now."""
        for pf in self.host.pfs.values():
            for vf_id, vf in pf.vfs.items():
                if vf.address == address:
                    return dict(pf.properties.get(vf_id, {}))
        return {}

    def pid_of(self, connection: socket.socket) -> int:
        """The process behind a socket, in place of SO_PEERCRED.

        That would name the process of the tests.
        """
        path = connection.getpeername()
        return next(qemu.pid for qemu in self.qemus if qemu.alive and qemu.path == path)

    def kexec(self, cmdline: str | None = None) -> None:
        """Start the new kernel; only what is on disk stays.

        Processes, /run, VFs and drivers are gone.
        """
        for qemu in self.qemus:
            qemu.end()
        self.bridges.end()
        self.systemd.services = dict.fromkeys(self.systemd.services, "inactive")
        shutil.rmtree(self.host.root / "run", ignore_errors=True)
        for pf in self.host.pfs.values():
            pf.enabled, pf.vfs, pf.properties, pf.autoprobe = 0, {}, {}, True
            self._drivers[pf.address], pf.driver = pf.driver or self._drivers.get(pf.address), None
        self.host.drivers.discard("vfio-pci")
        self.host.draw()
        self.put("/proc/cmdline", (self.loaded or "" if cmdline is None else cmdline) + "\n")
        self.put("/proc/sys/kernel/osrelease", NEW + "\n")
        self.put("/proc/sys/kernel/random/boot_id", str(uuid.uuid4()) + "\n")
        self.put("/proc/uptime", "5.00 20.00\n")
        self.put("/sys/kernel/kexec_loaded", "0\n")
        self.put("/proc/mounts", "/dev/vda / ext4 rw 0 0\n")

    def run(self, argv: Sequence[str]) -> str:
        words = list(argv)
        self.calls.append(words)
        self.on_run(words)
        if words[0] in ("systemd-run", "systemctl"):
            return self.systemd.run(words)
        if CHILD in words:
            return json.dumps(self.dry_start(words[words.index(CHILD) + 2 :]))
        if words[0] == "taskset":
            return self._taskset(words[3], int(words[4]))
        if words[0] in ("bridge", "tc"):
            return self.bridges.run(words)
        if words[0] == "modprobe" and words[1] == "--quiet":
            return self._modprobe_all(words) if words[2] == "--all" else self._modprobe(words[2])
        if words[:3] == ["mount", "-o", "remount,rw"]:
            mounts = (self.host.root / "proc/mounts").read_text()
            folder = re.escape(words[3].replace(" ", r"\040"))
            self.put("/proc/mounts", re.sub(rf"(?m)^(\S+ {folder} \S+) ro", r"\1 rw", mounts))
            return ""
        if words[0] in ("journalctl", "busctl") or (words[:3] == ["ip", "link", "set"] and words[-1] == "up"):
            return ""
        return self.host.run(argv)

    def _run_long(self, argv: Sequence[str], _deadline_s: float) -> str:
        assert list(argv[:2]) == ["timeout", "--signal=INT"]
        self.on_move(list(argv[4:]))
        return ""

    def _files(self) -> None:
        root = self.host.root
        for path, text in {
            "/proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet\n", "/proc/sys/kernel/osrelease": OLD + "\n",
            "/proc/sys/kernel/random/boot_id": str(uuid.uuid4()) + "\n", "/sys/kernel/kexec_loaded": "0\n",
            "/proc/mounts": "/dev/vda / ext4 rw 0 0\n",
            "/proc/self/mountinfo": "1 0 254:0 / / rw - ext4 /dev/vda rw\n",
            "/proc/meminfo": "MemAvailable:  4000000 kB\n",
            "/proc/uptime": "100.00 400.00\n", "/proc/sysrq-trigger": "", "/proc/modules": "",
             f"/boot/vmlinuz-{NEW}": "kernel",
            f"/boot/initrd.img-{NEW}": "initrd", f"/boot/System.map-{NEW}":
            "0 t sriov_numvfs_show\n0 t sriov_scan_vf_id\n0 t sriov_numvfs_no_scan\n0 t sriov_remove_vf_id\n",
            f"/lib/modules/{NEW}/modules.dep": "", "/usr/local/sbin/sriovctl": "", "/var/log/journal/x": "",
            "/etc/systemd/system/sysinit.target.wants/kvmfleet-sriov-resume.service": "",
        }.items():  # fmt: skip
            self.put(path, text)
        plain.put(root)
        os.makedirs(root / "proc/1/ns")
        for kind in ("mnt", "net"):
            os.symlink(f"{kind}:[1]", root / f"proc/1/ns/{kind}")

    def _taskset(self, cpus: str, thread: int) -> str:
        pid = thread % 10_000
        if not (self.host.root / "proc" / str(pid)).exists():
            raise ToolError(["taskset"], 1, f"failed to set pid {thread}'s affinity: No such process")
        self.put(f"/proc/{pid}/task/{thread}/status", f"Name:\tCPU/KVM\nCpus_allowed_list:\t{cpus}\n")
        return ""

    def _modprobe_all(self, words: list[str]) -> str:
        for name in self.modules & set(words[3:]):
            self.put(f"/sys/module/{name}/initstate", "live\n")
        if set(words[3:]) - self.modules:
            raise ToolError(words, 1, "")
        return ""

    def _modprobe(self, alias: str) -> str:
        address = alias.removeprefix("pci:")
        with self.host.lock:
            self.host.pfs[address].driver = self._drivers.get(address)
            self.host.draw()
        return ""

    def _load(self, number: int, _kernel: int, _initrd: int, _length: int, text: bytes | None, flags: int) -> int:
        assert number == 320
        self.loaded = None if flags & 1 else (text or b"").rstrip(b"\0").decode()
        self.put("/sys/kernel/kexec_loaded", "0\n" if flags & 1 else "1\n")
        return 0

    def _reboot(self, command: int) -> int:
        assert command == 0x45584543
        if self.reboot_errno:
            return self.reboot_errno
        assert " rw" not in (self.host.root / "proc/mounts").read_text(), "disks were writable at the kexec"
        self.kexec()
        raise Rebooted
