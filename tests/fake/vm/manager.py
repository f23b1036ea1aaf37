# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small manager of real QEMUs, which keeps their memory itself.

FOLDER VERB NAME, like `qm`. A file FOLDER/VERB has what goes wrong with it: fail, lie (nothing is done, status 0), lose
(the state is deleted after a save), unsure (of `saved`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("qemu-system-x86_64")


class Manager:
    """The manager of one VM."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.state, self.pid_file = folder / f"{name}.state", folder / f"{name}.pid"

    def launch(self, *more: str) -> None:
        """Start its QEMU."""
        subprocess.run([
            str(PROGRAM), "-name", f"guest={self.name}-in-its-manager", "-accel", "tcg", "-M", "pc", "-m", "16",
            "-nodefaults", "-display", "none", "-drive", f"file={self.folder / self.name}.img,format=raw,if=ide",
            "-qmp", f"unix:{self.folder / self.name}.q,server=on,wait=off", "-pidfile", str(self.pid_file),
            "-daemonize", *more,
        ], check=True)  # fmt: skip

    def ask(self, *commands: dict[str, Any]) -> list[Any]:
        """The monitor's answers."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(f"{self.folder / self.name}.q")
            file = monitor.makefile("rw")
            file.readline()
            answers = []
            for command in ({"execute": "qmp_capabilities"}, *commands):
                file.write(json.dumps(command))
                file.flush()
                while "event" in (answer := json.loads(file.readline() or "{}")):
                    pass
                answers.append(answer.get("return"))
            return answers[1:]

    def start(self) -> None:
        self.launch()

    def save(self) -> None:
        pid = int(self.pid_file.read_text())
        part = self.state.with_suffix(".part")
        self.ask({"execute": "stop"}, {"execute": "migrate", "arguments": {"uri": f"exec:cat > {part}"}})
        while self.ask({"execute": "query-migrate"})[0].get("status") != "completed":
            time.sleep(0.02)
        part.rename(self.state)
        self.ask({"execute": "quit"})
        while os.path.exists(f"/proc/{pid}") and Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.02)
        if self.fault("save") == "lose":
            self.state.unlink()

    def saved(self) -> int:
        return 2 if self.fault("saved") == "unsure" else 0 if self.state.exists() else 1

    def restore(self) -> None:
        self.launch("-incoming", f"exec:cat {self.state}")
        while self.ask({"execute": "query-status"})[0]["status"] == "inmigrate":
            time.sleep(0.02)
        self.ask({"execute": "cont"})
        self.state.unlink()

    def discard(self) -> None:
        self.state.unlink()

    def shutdown(self) -> None:
        self.ask({"execute": "quit"})

    def kill(self) -> None:
        """End what runs, with its test."""
        try:
            os.kill(int(self.pid_file.read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            return

    def fault(self, verb: str) -> str:
        file = self.folder / verb
        return file.read_text() if file.exists() else ""

    def act(self, verb: str) -> int:
        if self.fault(verb) == "fail":
            print("storage 'local' is not online", file=sys.stderr)
            return 5
        return 0 if self.fault(verb) == "lie" else getattr(self, verb)() or 0


if __name__ == "__main__":
    sys.exit(Manager(Path(sys.argv[1]), sys.argv[3]).act(sys.argv[2]))
