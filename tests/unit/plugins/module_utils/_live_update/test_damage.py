# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a VM, its QEMU and its files concern it alone."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import NO_FILE
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, jump, live, phase, request, result

GARBAGE = [b"", b"not JSON", b"[]", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"schema": 2, "state": []}', b'{"schema": 1}']


@pytest.fixture
def other(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with two VMs, web1 and web2."""
    node.vm("web2", pf, 2)
    return node


def damage(node: FakeNode, name: str, text: bytes) -> Path:
    path = Path(_claim.path(node.live.folder.vm(name)))
    path.write_bytes(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("text", GARBAGE)
def test_resume_with_a_damaged_claim(other: FakeNode, text: bytes) -> None:
    jump(other)
    damage(other, "web1", text)
    assert resume.resume(other.live) == "failed"
    assert live(other, "web2").status == "running"
    assert other.live_vm("web1") is None
    assert Path(other.live.folder.state("web1")).exists()
    assert {vm["name"]: vm["result"] for vm in result(other)["vms"]} == {"web1": "failed", "web2": "restored"}


@pytest.mark.parametrize("text", GARBAGE)
def test_abort_with_a_damaged_claim(other: FakeNode, text: bytes) -> None:
    """Its QEMU goes on, and the file is kept aside."""
    arm(other)
    discard = other.qemu.discard

    def damaged(vm: Any) -> None:  # noqa: ANN401 - as it is given
        damage(other, "web1", text)
        raise SriovError("no")

    object.__setattr__(other.qemu, "discard", damaged)
    assert save.run(other.live) == "aborted"
    object.__setattr__(other.qemu, "discard", discard)
    assert [live(other, name).status for name in ("web1", "web2")] == ["running", "running"]
    assert "claim.json.damaged" in os.listdir(other.live.folder.vm("web1"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("state", []),
        ("state", "gone"),
        ("time", "now"),
        ("form", 1.5),
        ("form", True),
        ("fingerprint", 3),
        ("fingerprint", {"size": 1}),
        ("vm", None),
        ("error", 3),
        ("images", {}),
        ("images", [3]),
        ("images", [{"name": "/a"}]),
    ],
)
def test_a_claim_of_wrong_types(tmp_path: Path, key: str, value: object) -> None:
    good = _claim.Claim("m", "web1", "saved", "b", "u", 1.0, NO_FILE, 0.5, 0.7)
    _claim.store(str(tmp_path), good)
    assert _claim.load(str(tmp_path)) == good
    path = _claim.path(str(tmp_path))
    durable.write_json(path, {**json.loads(Path(path).read_text()), key: value})
    with pytest.raises(BadInputError, match=rf"claim\.json\.{key}(\[0\])?: "):
        _claim.load(str(tmp_path))


@pytest.mark.parametrize(
    "command", ["query-status", "query-migrate", "query-machines", "qom-list", "query-migrate-capabilities"]
)
@pytest.mark.parametrize("answer", [5, [5], {"status": 7}, "text", [[]]])
def test_a_qemu_that_answers_nonsense(other: FakeNode, command: str, answer: object) -> None:
    """A refusal in preflight; later the update ends with both running."""
    other.scripts["web1"].answers[command] = answer
    _facts, verdict = _arm.examine(other.live, request())
    assert not [one for one in verdict.refusals if "web2" in one.problem]
    other.scripts["web1"].answers.clear()
    arm(other)
    other.scripts["web1"].answers[command] = answer
    if command == "query-machines":  # asked in preflight alone
        return
    save.run(other.live)
    assert phase(other) in ("aborted", "failed")
    other.scripts["web1"].answers.clear()
    assert live(other, "web2").status == "running"
    assert other.live_vm("web1") is not None


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that sends the list to its client."""
    path, sent = str(tmp_path / "q"), list[bytes]()
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def serve() -> None:
        connection, _address = server.accept()
        with connection:
            try:
                for data in sent:
                    connection.sendall(data)
                connection.recv(1 << 16)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield path, sent
    server.close()


GREETING = b'{"QMP": {"version": {"qemu": {"major": 10, "minor": 0, "micro": 2}}}}\n{"return": {}, "id": 1}\n'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH\n", "is not JSON"),
        (b"[" * 100_000 + b"\n", "is not JSON"),
        (b"x" * (qmp.LONGEST + 70_000), "bytes without an end"),
        (b'{"QMP": 5}\n', "not a QMP socket"),
        (b'{"QMP": {"version": {"qemu": {"major": "x"}}}}\n', "not a QMP socket"),
    ],
)
def test_what_is_no_monitor(monitor: tuple[str, list[bytes]], data: bytes, words: str) -> None:
    monitor[1].append(data)
    with pytest.raises(SriovError, match=words):
        qmp.connect(monitor[0], 60.0)


def test_an_event_may_come_before_the_greeting(monitor: tuple[str, list[bytes]]) -> None:
    """QEMU was sending it to the client before."""
    monitor[1].extend([b'{"event": "BLOCK_JOB_COMPLETED", "data": {}}\n', GREETING])
    with qmp.connect(monitor[0], 60.0) as connected:
        assert connected.version == (10, 0, 2)


def test_a_chatty_qemu_takes_no_memory(monitor: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qmp, "MOST_EVENTS", 50)
    events = b"".join(json.dumps({"event": "E", "data": {"n": number}}).encode() + b"\n" for number in range(500))
    monitor[1].extend([GREETING, events, b'{"event": "LAST"}\n'])
    with qmp.connect(monitor[0], 5.0) as connection:
        assert connection.wait_event(lambda event: event["event"] == "LAST", "the last", 5.0) == {"event": "LAST"}
        assert len(connection.events) <= 50
