"""A running emulated hypervisor: start, stop, and its files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ..fleet.fleet import Fleet, Host
from ..images import bootdisk
from ..images.rootfs import RootFs
from ..paths import RUNS, sockets
from ..progress import LabError, run, say
from . import qemu
from .accelerator import accelerator
from .ssh import Ssh

AT_WORK = os.cpu_count() or 1
"""Number of hosts that one run keeps at work.

A host waits for half of its time: two runs can go on beside each other. With more of them on a CPU they starve
one another until they miss deadlines.
"""


@dataclass(frozen=True)
class Running:
    """A host of a fleet.

    Its folder holds disk, console log and port.
    """

    fleet: str
    host: Host
    key: Path

    @property
    def folder(self) -> Path:
        return RUNS / self.fleet / self.host.name

    @property
    def console(self) -> Path:
        return sockets(self.fleet) / f"{self.host.name}.console"

    @property
    def log(self) -> Path:
        """Log of the console's output."""
        return self.folder / "console.log"

    @property
    def ssh(self) -> Ssh:
        try:
            port = json.loads((self.folder / "host.json").read_text())["ssh_port"]
        except FileNotFoundError:
            raise LabError(f"host {self.host.name} is not up: run `python -m lab up {self.fleet}`") from None
        return Ssh(port, self.key)

    def wait(self) -> float:
        """Wait until the host takes commands; returns the seconds it took.

        Raises LabError with the end of QEMU's log when that has ended.
        """
        return self.ssh.wait(alive=self._require_qemu)

    def _require_qemu(self) -> None:
        if self.pid() is None:
            log = (self.folder / "qemu.log").read_text()[-1000:]
            raise LabError(f"QEMU of {self.host.name} has ended: {log or 'it said nothing'}")

    def pid(self) -> int | None:
        """Process id of this host's QEMU, None if it does not run.

        An id that another process has taken over does not count.
        """
        try:
            pid = int((self.folder / "qemu.pid").read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return pid if str(self.folder).encode() in words else None


def running(fleet: Fleet, key: Path) -> list[Running]:
    return [Running(fleet.name, host, key) for host in fleet.hosts]


def start(target: Running, root: RootFs) -> None:
    """Boot the host from a fresh overlay of the root file system.

    Returns once QEMU runs.
    """
    if target.pid():
        say(f"{target.host.name} is running already")
        return
    shutil.rmtree(target.folder, ignore_errors=True)
    target.folder.mkdir(parents=True)
    disk = target.folder / "root.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", root.image, disk])
    boot(target, root, disk)


def boot(target: Running, root: RootFs, disk: Path) -> None:
    """Start QEMU on an existing disk."""
    port = _free_port()
    (target.folder / "host.json").write_text(json.dumps({"ssh_port": port}))
    sockets(target.fleet).mkdir(mode=0o700, exist_ok=True)
    disks = (bootdisk.build(), disk)
    argv = qemu.hypervisor(target.host, accelerator(root.kernel), disks, port, target.folder, sockets(target.fleet))
    (target.folder / "qemu.argv").write_text("\n".join(argv) + "\n")
    with (target.folder / "qemu.log").open("ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + 20
    while not target.pid():
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(
                f"QEMU of {target.host.name} did not start: {(target.folder / 'qemu.log').read_text()[-1000:]}"
            )
        time.sleep(0.1)


def stop(target: Running) -> None:
    """End the host's QEMU and wait until it is gone.

    Its disk and logs stay until the next start.
    """
    pid = target.pid()
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    for attempt in range(100):
        if target.pid() is None:
            return
        if attempt == 50:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    raise LabError(f"QEMU of {target.host.name} (pid {pid}) does not end")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
