# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QMP client over a unix socket.

Every answer is checked, every wait has a deadline. Protocol: docs/interop/qmp-spec.rst of QEMU. One JSON object a line;
events may come between a command and its answer.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Callable

from ..._model import finite_json
from ..._model.errors import DeadlineError, SriovError
from ..._model.update_deadlines import ANSWER_S
from ..._model.values import printable, shown

Answer = Any
"""The ``return`` member of an answer.

Each command has its own shape (docs/interop/qemu-qmp-ref).
"""

Message = dict[str, Any]
LONGEST = 1 << 24
"""Bytes of one message.

The largest answer, query-qmp-schema, has a few hundred thousand.
"""
MOST_EVENTS = 10_000
"""Events that are kept; a QEMU that sends more loses the oldest."""
LONGEST_TEXT = 1000
"""Characters of QEMU's words in an error."""


class QmpError(SriovError):
    """QEMU's error in answer to a command.

    ``kind`` is its class, ``description`` its text.
    """

    def __init__(self, command: str, kind: str, description: str) -> None:
        super().__init__(f"QEMU refused {command}: {description} ({kind})")
        self.command, self.kind, self.description = command, kind, description


class QmpClosedError(SriovError):
    """End of the connection.

    QEMU has exited, or another client holds the monitor.
    """


class Qmp:
    """One connected monitor, capabilities negotiated.

    ``pid`` is QEMU's process id (SO_PEERCRED of the listener).
    """

    def __init__(self, connection: socket.socket, timeout: float = ANSWER_S) -> None:
        self._socket, self._timeout = connection, timeout
        self._buffer, self._last = b"", 0
        self.events: list[Message] = []
        self.pid = _peer_pid(connection)
        self.version: tuple[int, int, int] = _version(self._greeting(time.monotonic() + timeout))
        self.execute("qmp_capabilities")

    def _greeting(self, until: float) -> Message:
        """Wait for the greeting.

        An event that QEMU was sending to the client before may come first.
        """
        while True:
            message = self._message(until, "the greeting of QEMU (another QMP client may hold it)")
            if "event" not in message:
                return message

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def execute(self, command: str, timeout: float | None = None, **arguments: object) -> Answer:
        """Execute a command; returns the ``return`` member of its answer.

        An argument ``a_b`` is sent as given. Raises `QmpError` when QEMU refuses.
        """
        self._last += 1  # a late answer to a command that timed out must not be taken for this one's
        request: Message = {"execute": command, "id": self._last}
        if arguments:
            request["arguments"] = arguments
        until = time.monotonic() + (self._timeout if timeout is None else timeout)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise QmpClosedError(f"QEMU closed its monitor before {command}: {error}") from error
        while True:
            answer = self._message(until, f"the answer to {command}")
            if "event" in answer:
                self._keep(answer)
            elif answer.get("id", self._last) != self._last:
                continue
            elif "error" in answer:
                raise _refusal(command, answer["error"])
            elif "return" in answer:
                return answer["return"]

    def wait_event(self, wanted: Callable[[Message], bool], what: str, timeout: float) -> Message:
        """Take the first event, kept or coming, that ``wanted`` accepts.

        Raises `DeadlineError` naming ``what``.
        """
        until = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self.events):
                if wanted(self.events[seen]):
                    return self.events.pop(seen)
                seen += 1
            message = self._message(until, what)
            if "event" in message:
                seen -= self._keep(message)

    def wait_closed(self, timeout: float) -> None:
        """Wait until QEMU closes the connection, as when it exits."""
        until = time.monotonic() + timeout
        try:
            while True:
                self._message(until, "QEMU to close its monitor")
        except QmpClosedError:
            return

    def read_on(self, timeout: float) -> None:
        """Keep what a QEMU that is ending has sent already.

        A command that finds the connection closed leaves it unread.
        """
        until = time.monotonic() + timeout
        with suppress(QmpClosedError, DeadlineError):
            while True:
                message = self._message(until, "the last event of QEMU")
                if "event" in message:
                    self._keep(message)

    def _keep(self, event: Message) -> int:
        """Keep an event; the number of older ones that had to go."""
        self.events.append(event)
        excess = max(0, len(self.events) - MOST_EVENTS)
        del self.events[:excess]
        return excess

    def _message(self, until: float, what: str) -> Message:
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"gave up waiting for {what}")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except socket.timeout:
                continue
            except OSError as error:
                raise QmpClosedError(f"QEMU closed its monitor while waiting for {what}: {error}") from error
            if not data:
                raise QmpClosedError(f"QEMU closed its monitor while waiting for {what}")
            self._buffer += data
            if len(self._buffer) > LONGEST:
                raise QmpClosedError(f"QEMU sent {len(self._buffer)} bytes without an end while waiting for {what}")
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            value = finite_json.loads(line)
        except (ValueError, RecursionError) as error:
            raise QmpClosedError(f"what QEMU sent is not JSON, while waiting for {what}: {error}") from error
        return value if isinstance(value, dict) else {}


def _refusal(command: str, error: object) -> QmpError:
    """QEMU's refusal, as far as it is one."""
    if not isinstance(error, dict):
        return QmpError(command, "no class", shown(error))
    return QmpError(command, words_of(error.get("class")), words_of(error.get("desc")))


def words_of(value: object) -> str:
    """A text of QEMU as an error may show it."""
    return printable(value[:LONGEST_TEXT]) if isinstance(value, str) else shown(value)


def _version(greeting: Message) -> tuple[int, int, int]:
    """Version in QEMU's greeting; `SriovError` when it is none."""
    try:
        version = greeting["QMP"]["version"]["qemu"]
        return int(version["major"]), int(version["minor"]), int(version["micro"])
    except (KeyError, TypeError, ValueError) as error:
        raise SriovError(f"not a QMP socket, it sent {shown(greeting)}") from error


def _peer_pid(connection: socket.socket) -> int:
    """Process id of the listener, by SO_PEERCRED.

    Credentials of the process that called listen(2): unix(7).
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", raw)[0])


def connect(path: str, timeout: float = ANSWER_S) -> Qmp:
    """Connect to the monitor at the socket ``path``.

    As this machine sees it. Raises `SriovError` when nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
        return Qmp(connection, timeout)
    except OSError as error:
        connection.close()
        raise SriovError(f"no QMP at {path}: {os.strerror(error.errno or 0)}") from error
    except BaseException:
        connection.close()
        raise
