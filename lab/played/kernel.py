"""The kernel of a played host, and its ip, devlink and modprobe.

One thread a question; the fake host of the tests answers, which conformance holds to real kernels.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, ToolError
from tests.fake.linux.host import FakeHost


def serve(host: FakeHost, folder: Path) -> socketserver.BaseServer:
    """Answer at the socket ``folder``/kernel until shut down."""
    handle = os.open(folder, os.O_PATH)
    try:  # paths of sockets have at most 107 bytes (unix(7))
        server = _Server(f"/proc/self/fd/{handle}/kernel", _Handler)
    finally:
        os.close(handle)
    server.host = host
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def answer(host: FakeHost, question: dict[str, Any]) -> dict[str, object]:
    """The answer to a write, ``errno``, or to a program, ``status``."""
    if "write" in question:
        try:
            host.sysfs.write(str(question["write"]), str(question["value"]))
        except KernelError as error:
            return {"errno": error.errno}
        return {"errno": 0}
    try:
        return {"status": 0, "stdout": host.run([str(word) for word in question["run"]]), "stderr": ""}
    except ToolError as error:
        return {"status": error.status, "stdout": "", "stderr": f"{error.stderr}\n"}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    host: FakeHost


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        question = json.loads(self.rfile.readline())
        self.wfile.write(json.dumps(answer(self.server.host, question)).encode() + b"\n")
