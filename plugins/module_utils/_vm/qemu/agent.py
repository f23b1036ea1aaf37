# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest agent of a VM, behind a socket of its QEMU.

Protocol: docs/interop/qemu-ga-ref of QEMU. What it answers is a guest's word, and says something about that
guest alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._model import finite_json
from ..._model.errors import DeadlineError, SriovError
from .. import guest_interface
from ..guest_interface import GuestInterface
from . import argv as _argv
from .paths import ON

PORT = "org.qemu.guest_agent.0"
"""Name of the agent's port (qga/main.c, QGA_VIRTIO_PATH_DEFAULT)."""
LONGEST = 1 << 16
"""Bytes of what is read of one answer."""


def socket_path(argv: Sequence[str]) -> str | None:
    """Path of the unix socket that leads to the guest's agent."""
    ids = {device.get("chardev") for device in _argv.devices(argv) if device.get("name") == PORT}
    chardevs = [_argv.parse(value, "backend") for value in _argv.values(argv, "-chardev")]
    found = [one for one in chardevs if one.get("id") in ids and one.get("server") in ON and "path" in one]
    return found[0]["path"] if found else None


def set_time(path: str, now: Callable[[], float], deadline_s: float) -> None:
    """Set the guest's clock to ``now``, seconds since the epoch.

    Raises `SriovError` when the agent refuses or does not answer in time, `OSError` when nobody is there.
    """
    _ask(path, deadline_s, "guest-set-time", lambda: {"time": int(now() * 1e9)})


def networks(argv: Sequence[str], real: Callable[[str], str], deadline_s: float) -> list[GuestInterface]:
    """The guest's network interfaces; raises as `set_time`.

    ``real``: makes the agent's path one that this machine sees.
    """
    path = socket_path(argv)
    if path is None:
        raise SriovError("its QEMU serves no socket of a guest agent")
    return guest_interface.parse(_ask(real(path), deadline_s, "guest-network-get-interfaces", dict))


def _ask(path: str, deadline_s: float, command: str, arguments: Callable[[], Mapping[str, object]]) -> object:
    """What the agent returns; ``arguments`` are made when it listens."""
    until = time.monotonic() + deadline_s
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(deadline_s)
        connection.connect(path)
        _synchronize(connection, until)
        _send(connection, command, **arguments())
        answer = _answer(connection, until)
        if "return" not in answer:
            raise SriovError(f"the guest agent refused {command}: {_description(answer)}")
        return answer["return"]


def _synchronize(connection: socket.socket, until: float) -> None:
    """Pass over what earlier clients have left unread.

    The byte 0xFF resets the agent's parser (guest-sync-delimited).
    """
    number = secrets.randbelow(1 << 31)
    connection.sendall(b"\xff")
    _send(connection, "guest-sync-delimited", id=number)
    while _answer(connection, until).get("return") != number:
        continue


def _send(connection: socket.socket, command: str, **arguments: object) -> None:
    connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")


def _answer(connection: socket.socket, until: float) -> Mapping[str, Any]:
    """The next line as an object, empty for anything else."""
    line = b""
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or len(line) > LONGEST:
            raise DeadlineError("the guest agent does not answer")
        connection.settimeout(left)
        try:
            byte = connection.recv(1)
        except socket.timeout as error:
            raise DeadlineError("the guest agent does not answer") from error
        if not byte:
            raise SriovError("the connection to the guest agent was closed")
        line += byte
    try:
        value = finite_json.loads(line.lstrip(b"\xff"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _description(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    text = str(error.get("desc")) if isinstance(error, Mapping) else "no reason given"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])


def clock(path: str | None, real: str, now: Callable[[], float], deadline_s: float) -> str:
    """Set the guest's clock and say so; never fails.

    ``path``: of the agent's socket, None without one; ``real``: the same as this machine sees it.
    """
    if path is None:
        return "not set: no guest agent"
    try:
        set_time(real, now, deadline_s)
    except SriovError as error:
        return f"not set: {error}"
    except OSError as error:
        return f"not set: no guest agent at {path}: {os.strerror(error.errno or 0)}"
    return "set"
