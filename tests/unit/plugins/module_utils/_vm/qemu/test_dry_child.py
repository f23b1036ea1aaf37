# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The child process of a dry start, apart and bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import dry_child

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
SETTINGS: dict[str, Any] = {
    "cwd": "/", "environment_of": os.getpid(), "memory_bytes": 1 << 32, "deadline_s": 10.0, "kill_s": 5.0,
    "monitor": False,
}  # fmt: skip


def command(*words: str, **changes: object) -> list[str]:
    source = process.source_of(dry_child)
    return [sys.executable, "-IS", "-c", source, "x", json.dumps({**SETTINGS, **changes}), *words]


def child(*words: str, **changes: object) -> dict[str, Any]:
    answer = json.loads(process.run(command(*words, **changes)))
    assert isinstance(answer, dict)
    return answer


def shell(script: str, **changes: object) -> dict[str, Any]:
    return child("/bin/sh", "-c", script, **changes)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def test_nothing_can_be_written(folder: Path) -> None:
    (folder / "log").write_text("before")
    for act in (f"echo x >{folder}/log", f"rm {folder}/log", f"mkdir {folder}/d", "touch /run/x", "touch /dev/shm/x"):
        assert "Read-only file system" in shell(act)["said"], act
    assert (folder / "log").read_text() == "before"
    assert [path.name for path in folder.iterdir()] == ["log"]


def test_no_network_but_its_own() -> None:
    links = shell("cat /proc/net/dev", monitor=True)["said"]
    assert [line.split(":")[0].strip() for line in links.splitlines() if ":" in line] == ["lo"]
    assert os.path.exists("/proc/net/dev")


def test_memory_goes_first_to_others() -> None:
    assert shell("cat /proc/self/oom_score_adj; nice")["said"] == f"1000\n{min(19, os.nice(0) + 10)}\n"


def test_limits_of_memory_and_files() -> None:
    said = shell("cat /proc/self/limits", memory_bytes=1 << 30)["said"]
    rows = {line[:26].strip(): line[26:47].strip() for line in said.splitlines()}
    assert (rows["Max file size"], rows["Max core file size"], rows["Max address space"]) == ("0", "0", str(1 << 30))


@pytest.mark.parametrize("monitor", [False, True])
def test_a_program_that_does_not_answer_is_killed(monitor: bool) -> None:
    began = time.monotonic()
    answer = shell("echo $$; exec sleep 60", deadline_s=0.5, monitor=monitor)
    assert (answer["status"], answer["code"]) == (None, None)
    assert not os.path.exists(f"/proc/{int(answer['said'])}")
    assert time.monotonic() - began < 10


def test_output_is_bounded() -> None:
    answer = child("yes", deadline_s=0.5)
    assert len(answer["said"]) == dry_child.SAID
    assert answer["code"] is None


def test_the_end_of_output_is_kept() -> None:
    assert shell("i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; exit 3")["said"].endswith("line 999\n")


def test_a_program_that_ends() -> None:
    assert shell("echo why >&2; exit 3") == {"status": None, "code": 3, "said": "why\n"}
    assert child("/no/such")["code"] == 127


def test_it_has_the_variables_and_the_folder_of_the_vm(folder: Path) -> None:
    vm = subprocess.Popen(["sleep", "60"], env={"MINE": "1", "NOTIFY_SOCKET": "/run/n", "LC_ALL": "de_DE"})
    try:
        said = shell("echo $MINE/$NOTIFY_SOCKET/$LC_ALL; pwd", environment_of=vm.pid, cwd=str(folder))["said"]
    finally:
        vm.kill()
        vm.wait()
    assert said == f"1//C\n{folder}\n"


def test_it_ends_with_whoever_started_it() -> None:
    """Also a preflight that is killed leaves no second QEMU behind."""
    mark = f"60.{time.time_ns()}"
    with subprocess.Popen(command("sleep", mark)) as parent:
        while not _processes("sleep", mark):
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    until = time.monotonic() + 10
    while _processes("sleep", mark):
        assert time.monotonic() < until, "it lives on"
        time.sleep(0.02)


def _processes(*words: str) -> list[str]:
    text = "\0".join([*words, ""]).encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [entry.parent.name] if entry.read_bytes() == text else []
        except OSError:
            continue
    return found


def test_without_namespaces_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(network: bool) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(dry_child, "set_apart", refused)
    monkeypatch.setattr(dry_child, "signal_at_end_of_parent", lambda: None)
    monkeypatch.setattr(dry_child, "trial", lambda words, settings: pytest.fail("it was started"))
    monkeypatch.setattr(sys, "argv", ["-c", "x", json.dumps(SETTINGS), "qemu"])
    dry_child.main()
    assert json.loads(capsys.readouterr().out) == {"apart": "[Errno 1] Operation not permitted"}


@pytest.mark.parametrize(
    ("heard", "status"),
    [
        (b'{"QMP": {}}\r\n{"return": {}}\r\n', None),
        (b'{"return": {"status": "inmigrate"}, "id": "kvmfleet"}\r\n', "inmigrate"),
        (b'{"return": {"status": "inmigrate"}, "id": "kvmfleet"}', None),
        (b'junk\n[1]\n{"return": [], "id": "kvmfleet"}\n', "None"),
        (b'{"error": {"desc": "no"}, "id": "kvmfleet"}\n', "{'desc': 'no'}"),
        (b"[" * 100_000 + b"\n", None),
    ],
)
def test_answers_of_a_monitor(heard: bytes, status: str | None) -> None:
    assert dry_child.status_in(heard) == status


@pytest.mark.parametrize(
    ("heard", "has"),
    [
        (b'{"return": [{"capability": "mapped-ram", "state": false}, 3], "id": "kvmfleet-has"}\r\n', ["mapped-ram"]),
        (b'{"return": {"capability": "mapped-ram"}, "id": "kvmfleet-has"}\n', None),
        (b'{"error": {"class": "CommandNotFound"}, "id": "kvmfleet-has"}\n', None),
        (b'{"return": [{"capability": "mapped-ram"}], "id": "kvmfleet"}\n', None),
        (b"", None),
    ],
)
def test_capabilities_that_it_names(heard: bytes, has: list[str] | None) -> None:
    assert dry_child.has_in(heard) == ({} if has is None else {"has": has})
