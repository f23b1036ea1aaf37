# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a real libvirtd, in namespaces of its own.

Nothing of this machine is touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

from . import init, root

UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts", "--cgroup")
COPIED = ("etc", "var/lib/libvirt", "var/lib/polkit-1", "var/log/libvirt", "var/cache/libvirt")
EMPTY = ("dev", "images", "proc", "run", "sys", "tmp", "usr", "var/lib", "var/log", "var/cache", "root")
LINKS = ("bin", "lib", "lib64", "sbin")
QEMU_CONF = 'security_driver = "none"\nnamespaces = []\nstdio_handler = "file"\ncgroup_controllers = []\n'
DAEMON_CONF = 'log_outputs = "2:file:/var/log/libvirt/libvirtd.log"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n'
WAIT_S = 60.0


def able() -> bool:
    """Whether this user may make the namespaces."""
    return os.geteuid() == 0 and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


class HostFiles(Sysfs):
    """Files of the host, /proc as its processes see it."""

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(str(folder))
        self.pid = pid

    def real(self, path: str) -> str:
        if path == "/proc" or path.startswith("/proc/"):
            inner = path.replace("/proc/self/", "/proc/1/", 1)
            return f"/proc/{self.pid}/root{inner}"
        return super().real(path)


class Host:
    """The namespaces, and libvirtd in them; ``folder`` is the host's root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tree = root.build()
        _lay_out(folder, tree)
        words = [*UNSHARE, sys.executable, init.__file__, str(folder), str(tree)]
        with (folder / "var/log/init.log").open("wb") as log:
            self._unshare = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait(lambda: (folder / init.READY).exists(), "the namespaces")
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text()
        self.pid = int(children.split()[0])
        self.sysfs = HostFiles(folder, self.pid)

    def run(self, argv: Sequence[str]) -> str:
        """Run a program on the host, as the engine does."""
        return process.run(self.argv(argv), WAIT_S)

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Command line that runs a program on the host."""
        enter = [
            "nsenter",
            "--target",
            str(self.pid),
            "--mount",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--root",
            "--wd=/",
        ]
        return [*enter, "--", "env", "PATH=/usr/sbin:/usr/bin", *argv]

    def virsh(self, *words: str) -> str:
        return self.run(["virsh", "-q", *words])

    def start(self) -> None:
        """Start libvirtd, and wait until it answers."""
        self.run(["libvirtd", "--daemon"])
        self.wait(self._answers, "libvirtd")

    def _answers(self) -> bool:
        with suppress(Exception):
            self.virsh("list", "--name")
            return True
        return False

    def stop(self, signal: str = "TERM") -> None:
        """End libvirtd; domains run on."""
        pid = (self.folder / "run/libvirtd.pid").read_text().strip()
        self.run(["sh", "-c", f"kill -{signal} {pid}"])
        self.wait(lambda: not self.sysfs.exists(f"/proc/{pid}"), "the end of libvirtd")

    def restart(self, signal: str = "KILL") -> None:
        self.stop(signal)
        self.start()

    def cut(self) -> None:
        """Cut the power, and boot: all processes end, and /run is empty."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.wait(lambda: not self._processes(), "the end of all processes")
        for one in (self.folder / "run").iterdir():
            if one.name != Path(init.READY).name:
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        self.start()

    def _processes(self) -> list[int]:
        """Processes of the host but its first two, which only keep it."""
        mine, found = os.readlink(f"/proc/{self.pid}/ns/pid"), []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(path / "ns/pid") == mine and (path / "comm").read_text() != "sleep\n":
                    found.append(int(path.name))
        return [pid for pid in found if pid != self.pid]

    def wait(self, true: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                raise AssertionError(f"no {what} within {seconds:g} s; log: {self.log()}")
            time.sleep(0.02)

    def log(self) -> str:
        path = self.folder / "var/log/libvirt/libvirtd.log"
        return path.read_text()[-3000:] if path.exists() else ""

    def end(self) -> None:
        """End all processes of the host with its first one."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, 9)
        self._unshare.wait()


def _lay_out(folder: Path, tree: Path) -> None:
    for name in EMPTY:
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "tmp").chmod(0o1777)
    for name in LINKS:
        (folder / name).symlink_to(f"usr/{name}")
    (folder / "var/run").symlink_to("/run")
    for name in COPIED:
        if (tree / name).exists():
            subprocess.run(["cp", "-a", tree / name, (folder / name).parent], check=True)
    shutil.rmtree(folder / "etc/libvirt/qemu/networks", ignore_errors=True)
    (folder / "etc/libvirt/qemu.conf").write_text(QEMU_CONF)
    (folder / "etc/libvirt/libvirtd.conf").write_text(DAEMON_CONF)
