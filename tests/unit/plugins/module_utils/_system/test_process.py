# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs, run for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    BlockedError,
    DeadlineError,
    SriovError,
    ToolError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process as _process


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_stdout() -> None:
    assert _process.run(python("import os; print(os.environ['LC_ALL'], input.__name__)")) == "C input\n"


def test_no_input() -> None:
    assert _process.run(python("import sys; print(repr(sys.stdin.read()))")) == "''\n"


def test_failure_names_argv_status_and_stderr() -> None:
    with pytest.raises(ToolError, match=r"-c import sys; .* ended with status 3: a b$") as caught:
        _process.run(python("import sys; print('a\\nb', file=sys.stderr); sys.exit(3)"))
    assert caught.value.status == 3


def test_silent_failure() -> None:
    with pytest.raises(ToolError, match="ended with status 1: it said nothing"):
        _process.run(["false"])


def test_missing_program() -> None:
    with pytest.raises(ToolError, match="ended with status 127: cannot run it: No such file"):
        _process.run(["/nowhere/ip"])


def test_deadline() -> None:
    with pytest.raises(DeadlineError, match=r"did not end within 0.1 s"):
        _process.run(["sleep", "9"], 0.1)


@pytest.mark.parametrize(
    ("program", "seconds"), [("grub-mkconfig", 600.0), ("/usr/sbin/proxmox-boot-tool", 600.0), ("ip", 60.0)]
)
def test_programs_that_read_every_volume_have_longer(program: str, seconds: float) -> None:
    """os-prober mounts each volume that it finds."""
    assert _process.deadline_of([program, "refresh"]) == seconds


@pytest.mark.parametrize("program", ["grub-mkconfig", "ip"])
def test_the_deadline_is_the_program_s(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process, "PROGRAM_S", 0.1)
    (tmp_path / program).write_text("#!/bin/sh\nsleep 0.5\necho done\n")
    (tmp_path / program).chmod(0o755)
    argv = [str(tmp_path / program)]
    if program == "ip":
        with pytest.raises(DeadlineError, match=r"ip' did not end within 0.1 s"):
            _process.run(argv)
    else:
        assert _process.run(argv) == "done\n"


def test_what_cannot_be_killed_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in state D, which no signal reaches."""
    left: list[subprocess.Popen[str]] = []
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: left.append(process))
    monkeypatch.setattr(_process, "KILL_S", 0.1)
    with pytest.raises(BlockedError, match=r"did not end within 0.1 s, and cannot be killed: process \d+ \(state S"):
        _process.run(["sleep", "30"], 0.1)
    left[0].terminate()
    left[0].wait()


def test_refuse() -> None:
    with pytest.raises(SriovError, match="'ip link' is not run below another root"):
        _process.refuse(["ip", "link"])


def test_output_that_is_no_utf8() -> None:
    """Output with any bytes, such as an interface's alias."""
    assert _process.run(["printf", "B\\374ro"]) == "B\ufffdro"
