# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake guest agent, behind the socket that QEMU would serve."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from io import BufferedRWPair
from typing import Any

REFUSAL = {"error": {"class": "GenericError", "desc": "Failed to set system time: \x1b[1mno\x1b[0m"}}


class FakeAgent:
    """``manner``: ok, refuses, silent, closes, chatty or floods.

    ``times``: what the guest's clock was set to, in nanoseconds; ``interfaces``: its answers about them, question by
    question, the last for ever.
    """

    def __init__(self, path: str, manner: str = "ok") -> None:
        self.path, self.manner = path, manner
        self.times: list[int] = []
        self.interfaces: list[object] = [[]]
        self.server = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.server.bind(path)
        self.server.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _address = self.server.accept()
            self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rwb") as stream:
            if self.manner == "floods":
                while True:
                    stream.write(b"x" * 4096)
                    stream.flush()
            if self.manner == "chatty":
                stream.write(b'{"return": {"left": "by another"}}\n[1]\nnonsense\n' + b"[" * 20_000 + b"\n")
            for line in stream:
                if self.manner == "closes":
                    return
                if self.manner != "silent":
                    self._answer(stream, json.loads(line.lstrip(b"\xff")))

    def _answer(self, stream: BufferedRWPair, request: dict[str, Any]) -> None:
        arguments = request["arguments"]
        if request["execute"] == "guest-sync-delimited":
            answer = b"\xff" + json.dumps({"return": arguments["id"]}).encode()
        elif self.manner == "refuses":
            answer = json.dumps(REFUSAL).encode()
        elif request["execute"] == "guest-network-get-interfaces":
            found = self.interfaces.pop(0) if len(self.interfaces) > 1 else self.interfaces[0]
            answer = json.dumps({"return": found}).encode()
        else:
            self.times.append(arguments["time"])
            answer = b'{"return": {}}'
        stream.write(answer + b"\n")
        stream.flush()
