# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor of a fake QEMU.

A server of QMP on a unix socket: docs/interop/qmp-spec.rst of QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any, TextIO

from .script import Script

if TYPE_CHECKING:
    from .node import FakeNode

VERSION = {"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": ""}


class QemuRefusalError(Exception):
    """A refusal that becomes an error answer."""


class Monitor:
    """A QEMU as its monitor shows it.

    It has a method ``do_`` for each command; ``commands``: what it was asked, one after the other.
    """

    def __init__(self, node: FakeNode, argv: list[str], unit: str, pid: int) -> None:
        self.node, self.argv, self.unit, self.pid = node, argv, unit, pid
        self.name = after(argv, "-name").split(",")[0].removeprefix("guest=")
        self.path = node.host.sysfs.real(after(argv, "-qmp").removeprefix("unix:").split(",")[0])
        self.script = node.scripts.setdefault(self.name, Script())
        self.alive, self.ended_well = True, False
        self.lock = threading.RLock()
        self.stream: TextIO | None = None
        self.commands: list[str] = []
        self._events: list[dict[str, Any]] = []

    def do_qmp_capabilities(self) -> None:
        pass

    def end(self) -> None:
        """End the process: its socket and its /proc entry."""
        if not self.alive:
            return
        self.alive = False
        self.server.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        shutil.rmtree(self.node.host.root / "proc" / str(self.pid), ignore_errors=True)

    def shut_down(self, reason: str) -> None:
        """End as after the event SHUTDOWN with this reason."""
        self._event("SHUTDOWN", guest=reason.startswith("guest"), reason=reason)
        self.ended_well = reason != "host-error"
        with contextlib.suppress(OSError, ValueError):
            self._send_events()
        self.end()

    def _serve(self) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.alive:
            try:
                connection, _address = self.server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection, connection.makefile("rw", encoding="utf-8") as stream:
                _send(stream, {"QMP": {"version": VERSION, "capabilities": []}})
                self.stream = stream
                for line in stream:
                    with self.lock:
                        self._answer(stream, json.loads(line))
                    if not self.alive:
                        break

    def _answer(self, stream: TextIO, request: dict[str, Any]) -> None:
        command = request["execute"]
        self.commands.append(command)
        self.node.commands.append((self.name, command))
        try:
            if command in self.script.answers:
                value = self.script.answers[command]
            else:
                value = getattr(self, "do_" + command.replace("-", "_"))(**request.get("arguments", {}))
            answer = {"return": {} if value is None else value, "id": request.get("id")}
        except QemuRefusalError as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}, "id": request.get("id")}
        self._send_events()
        if self.alive or command == "quit":
            _send(stream, answer)

    def _send_events(self) -> None:
        """Send events to whoever is connected; they are lost for others."""
        events = list(self._events)
        self._events.clear()
        if self.stream is not None:
            for event in events:
                _send(self.stream, event)

    def _event(self, name: str, **data: object) -> None:
        self._events.append({"event": name, "data": data, "timestamp": {"seconds": 0, "microseconds": 0}})


def _send(stream: TextIO, value: dict[str, Any]) -> None:
    stream.write(json.dumps(value) + "\r\n")
    stream.flush()


def after(argv: list[str], option: str) -> str:
    """The word behind an option."""
    return argv[argv.index(option) + 1]
