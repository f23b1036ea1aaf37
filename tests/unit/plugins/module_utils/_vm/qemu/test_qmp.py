# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The QMP client against a scripted server.

Answers, events, deadlines, and the end of a connection.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import DeadlineError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import migration
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.qmp import QmpClosedError, QmpError

GREETING = {"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}}, "capabilities": ["oob"]}}
Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that answers each request with its next messages.

    It sends the greeting first; None closes.
    """
    folder = tempfile.TemporaryDirectory(prefix="kf")
    path = str(Path(folder.name) / "q")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def talk(greeting: dict[str, Any], turns: list[list[Any] | None]) -> None:
        connection, _address = server.accept()
        script: list[list[Any] | None] = [[{"return": {}}], *turns]
        with connection, connection.makefile("rw") as stream, contextlib.suppress(OSError):
            stream.write(json.dumps(greeting) + "\r\n")
            stream.flush()
            for turn, line in zip(script, stream):
                if turn is None:
                    return
                for message in turn:
                    known = {} if "event" in message else {"id": json.loads(line)["id"]}
                    stream.write(json.dumps({**known, **message}) + "\n")
                stream.flush()
            time.sleep(1)

    def start(*turns: list[Any] | None, greeting: dict[str, Any] = GREETING) -> str:
        threading.Thread(target=talk, args=(greeting, list(turns)), daemon=True).start()
        return path

    yield start
    server.close()
    folder.cleanup()


def event(name: str, **data: object) -> dict[str, Any]:
    return {"event": name, "data": data}


def test_connection_knows_version_and_process(serve: Serve) -> None:
    with _qmp.connect(serve(), 1.0) as qmp:
        assert qmp.version == (10, 0, 2)
        assert qmp.pid == os.getpid()


def test_answers_and_errors(serve: Serve) -> None:
    refusal = {"error": {"class": "DeviceNotFound", "desc": "Device 'x' not found"}}
    with _qmp.connect(serve([{"return": {"status": "running"}}], [refusal]), 1.0) as qmp:
        assert qmp.execute("query-status") == {"status": "running"}
        with pytest.raises(QmpError, match="QEMU refused device_del: Device 'x' not found") as caught:
            qmp.execute("device_del", id="x")
        assert caught.value.kind == "DeviceNotFound"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, r"QEMU refused cont: null \(no class\)"), (["x"], r'QEMU refused cont: \["x"\] \(no class\)'),
        ({"class": 5}, r"QEMU refused cont: null \(5\)"),
        ({"class": "G", "desc": "\x1b[2J"}, r"QEMU refused cont: \\x1b\[2J \(G\)"),
    ],
)  # fmt: skip
def test_a_refusal_of_any_shape(serve: Serve, error: object, words: str) -> None:
    with _qmp.connect(serve([{"error": error}])) as qmp, pytest.raises(QmpError, match=words):
        qmp.execute("cont")


@pytest.mark.parametrize("answer", [5, None, [], "completed"])
def test_a_migration_that_is_none(serve: Serve, answer: object) -> None:
    words = "QEMU answers query-migrate with .*, no object"
    with _qmp.connect(serve([{"return": answer}])) as qmp, pytest.raises(SriovError, match=words):
        migration.poll(qmp, 1.0)


def test_events_before_an_answer_are_kept(serve: Serve) -> None:
    path = serve([event("STOP"), event("DEVICE_DELETED", device="a"), {"return": {}}])
    with _qmp.connect(path, 1.0) as qmp:
        qmp.execute("device_del", id="a")
        found = qmp.wait_event(lambda item: item["event"] == "DEVICE_DELETED", "a to go", 0.1)
        assert found["data"] == {"device": "a"}
        assert [item["event"] for item in qmp.events] == ["STOP"]


def test_event_that_never_comes(serve: Serve) -> None:
    with _qmp.connect(serve([{"return": {}}]), 1.0) as qmp:
        qmp.execute("device_del", id="a")
        with pytest.raises(DeadlineError, match="gave up waiting for a to go"):
            qmp.wait_event(lambda _item: True, "a to go", 0.05)


def test_silence_is_a_deadline(serve: Serve) -> None:
    with _qmp.connect(serve([]), 1.0) as qmp, pytest.raises(DeadlineError, match="the answer to query-status"):
        qmp.execute("query-status", timeout=0.05)


def test_late_answer_is_not_taken_for_the_next_one(serve: Serve) -> None:
    with _qmp.connect(serve([], [{"return": "late", "id": 2}, {"return": "mine"}]), 1.0) as qmp:
        with pytest.raises(DeadlineError):
            qmp.execute("query-status", timeout=0.05)
        assert qmp.execute("query-name") == "mine"


def test_end_of_the_connection(serve: Serve) -> None:
    with (
        _qmp.connect(serve(None), 1.0) as qmp,
        pytest.raises(QmpClosedError, match="while waiting for the answer to quit"),
    ):
        qmp.execute("quit")


def test_monitor_that_is_taken_says_nothing(serve: Serve) -> None:
    path = serve([])
    with _qmp.connect(path, 1.0), pytest.raises(DeadlineError, match="another QMP client may hold it"):
        _qmp.connect(path, 0.1)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(SriovError, match=r"no QMP at .*: No such file"):
        _qmp.connect(str(tmp_path / "none"), 0.1)


def test_something_else_listens(serve: Serve) -> None:
    with pytest.raises(SriovError, match="not a QMP socket"):
        _qmp.connect(serve(greeting={"hello": 1}), 0.5)


@pytest.mark.parametrize("word", ["Infinity", "-Infinity", "NaN", "1e999"])
@pytest.mark.parametrize("sent", ['{{"QMP": {{"version": {{"qemu": {{"major": {0}}}}}}}}}', '{{"return": {0}}}'])
def test_a_number_that_is_none_is_no_json(sent: str, word: str) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(sent.format(word).encode() + b"\n")
        with pytest.raises(SriovError, match=f"not JSON, while waiting for .*: {word} is no number in JSON"):
            _qmp.Qmp(here, 1.0)


STATES: list[tuple[list[dict[str, str]], str | None]] = [
    ([{"status": "setup"}, {"status": "active"}, {"status": "completed"}], None),
    ([{"status": "active"}, {"status": "failed", "error-desc": "disk full"}], "migration failed: disk full"),
    ([{"status": "failed"}], "QEMU gives no reason"),
    ([{"status": "cancelled"}], "migration cancelled"),
    ([{"status": "active"}] * 50, "still active after 0.05 s"),
    ([{}] * 50, "still none after 0.05 s"),
]


@pytest.mark.parametrize(("answers", "message"), STATES)
def test_migration_is_followed_to_its_end(serve: Serve, answers: list[dict[str, str]], message: str | None) -> None:
    with _qmp.connect(serve(*[[{"return": answer}] for answer in answers]), 1.0) as qmp:
        if message is None:
            assert migration.poll(qmp, 1.0, interval=0.001)["status"] == "completed"
        else:
            with pytest.raises(SriovError, match=message):
                migration.poll(qmp, 0.05, interval=0.002)
