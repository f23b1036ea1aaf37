# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hook that moves a played host's VM away, or fails to.

As operators write one: the host's folder, how it goes, and the VM's name.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

MOVES, FAILS, LIES, HANGS, GONE, STAYS = "moves", "fails", "lies", "hangs", "gone", "stays"


def incoming(folder: Path, name: str) -> Path:
    """Socket at which the other host's QEMU waits."""
    return folder / f"{name}.incoming"


class Monitor:
    """QMP, one command after the other."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self._file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 - as QMP
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            answer = json.loads(self._file.readline())
            if "error" in answer:
                raise SystemExit(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]


def main(folder: Path, how: str, name: str) -> int:
    if how == FAILS:
        print("no host has room", file=sys.stderr)
        return 1
    if how == HANGS:
        time.sleep(600)
    if how in (LIES, HANGS):
        return 0
    monitor = Monitor(folder / f"root/run/kvmfleet-vm/{name}.qmp")
    monitor.ask("migrate", uri=f"unix:{incoming(folder, name)}")
    while (status := monitor.ask("query-migrate")["status"]) != "completed":
        if status == "failed":
            return 1
        time.sleep(0.02)
    if how != STAYS:
        monitor.ask("quit")
    return 1 if how == GONE else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
