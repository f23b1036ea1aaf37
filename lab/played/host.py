"""A played host: a folder that stands for a hypervisor's root."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import sys
from pathlib import Path
from typing import Any

from tests.fake.fleet.played import PROGRAMS, SEQUENCE
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

from ..kernels.base import DEFAULT
from ..paths import HERE
from ..progress import LabError
from . import kernel

INSIDE = HERE / "played/inside"
HIDDEN = ("/etc", "/run", "/var/lib", "/usr/local/sbin", "/sys", "/proc")
"""Folders of this machine that a host has its own of."""
OLD, NEW = f"{DEFAULT.name}.0-stock", f"{DEFAULT.name}.0-kvmfleet1"
NETDEV, PF = "ens3f0", "0000:03:00.0"
NAMES = ("passwd", "group", "nsswitch.conf", "os-release", "ld.so.cache", "alternatives")
"""What programs need of /etc."""
ASKED = ("ip", "devlink", "modprobe")


class Host:
    """A host with one igb PF; `start_vm` starts its VM ``web1``."""

    def __init__(self, folder: Path, name: str, interface: str) -> None:
        self.name, self.root = name, folder / name
        for place in HIDDEN:
            if self.root.is_relative_to(place) or Path(sys.base_prefix).is_relative_to(place):
                raise LabError(
                    f"{place} holds this checkout, or its Python, and played hosts have a {place} of their own: "
                    "clone the repository into your home"
                )
            (self.root / place[1:]).mkdir(parents=True)
        self.fake = FakeHost(self.root, interface)
        self.pf: FakePf = self.fake.igb(PF, NETDEV)
        self._files()
        self.server: socketserver.BaseServer = kernel.serve(self.fake, self.root / "run/played")

    def _files(self) -> None:
        for name in NAMES:
            found = Path("/etc") / name
            if found.is_dir():
                shutil.copytree(found, self.root / "etc" / name, symlinks=True)
            elif found.exists():
                shutil.copy(found, self.root / "etc" / name)
        texts = {"cmdline": "root=/dev/vda", "sys/kernel/osrelease": OLD, "sys/kernel/random/boot_id": f"{self.name}-1"}
        for name, text in texts.items():
            path = self.root / "proc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        programs = self.root / "run/played/bin"
        programs.mkdir(parents=True)
        for name in ("systemd/system", "udev/rules.d"):
            (self.root / "etc" / name).mkdir(parents=True)
        self._python(programs.parent / "python", INSIDE / "interpreter.py")
        for name in ASKED:
            self._python(programs / name, INSIDE / "program.py")
        for name in ("systemctl", "sudo"):
            shutil.copy(INSIDE / name, programs)
        shutil.copy(HERE / "bytecode/sitecustomize.py", programs.parent)
        (programs / "journalctl").write_text(f"#!/bin/sh\n{PROGRAMS['journalctl']}\n")
        (programs / "journalctl").chmod(0o755)

    @staticmethod
    def _python(path: Path, source: Path) -> None:
        """Write a program for the Python that runs this one."""
        path.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{source.read_text()}")
        path.chmod(0o755)

    def start_vm(self) -> None:
        """Have a QEMU that has the PF's VF 0 open."""
        self.fake.hold(self.pf, 0)
        self.fake.draw()

    def by_hand(self, *argv: str) -> None:
        """Do what an administrator does behind the back of the declaration."""
        self.fake.run(list(argv))

    def update(self, result: dict[str, Any], manifest: dict[str, Any], log: str, **changes: object) -> None:
        """Put down how the live update of this host goes."""
        folder = self.root / "run/played/update"
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "phase": None, "started": False, "sequence": SEQUENCE, "log": [], "refusals": [], "kernel": OLD,
            "result": result, "away_at": None, "away_for": "", "asked": [], "back": SEQUENCE, "differs": False,
            "reserved": [], "refuses": None, **changes,
        }  # fmt: skip
        texts = {"state": state, "manifest": manifest, "status": {}, "result": result}
        for name, value in texts.items():
            (folder / f"{name}.json").write_text(json.dumps(value))
        (folder / "guest.log").write_text(log)

    def variables(self) -> dict[str, object]:
        return {
            "ansible_connection": "played", "played_root": str(self.root), "ansible_user": "operator",
            "ansible_python_interpreter": "/run/played/python", "ansible_remote_tmp": "/run/played/tmp",
        }  # fmt: skip
