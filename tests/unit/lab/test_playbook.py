# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as steps of the demo: a line, a time, a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import playbook
from lab.progress import LabError
from lab.scenarios import demo

PROGRAM = """#!/bin/sh
echo "TASK [kvmfleet.sriov.live_update : Show where it is, and the timeline] ****"
printf 'ok: [hv1] =>\\n    msg:\\n    - /the/report.html\\n    - "hv1: updated"\\n'
echo
echo "PLAY RECAP ****"
echo "fatal: something" >&2
exit ${STATUS:-0}
"""


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ansible-playbook").write_text(PROGRAM)
    (tmp_path / "ansible-playbook").chmod(0o755)
    monkeypatch.setattr(playbook, "BIN", tmp_path)
    monkeypatch.setattr(demo, "LOG", tmp_path / "logs/playbooks.log")
    return tmp_path / "logs/playbooks.log"


def test_a_playbook_is_a_line_with_its_time_and_the_log(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.playbooks(tmp_path / "inventory", {}, "sriov", "live_update")
    output, lines = capsys.readouterr()
    assert output == "/the/report.html\nhv1: updated\n"
    assert [f"with its output in {log} ..." in line for line in lines.splitlines()] == [True, False, True, False]
    assert [": done in " in line for line in lines.splitlines()] == [False, True, False, True]
    assert log.read_text().count("fatal: something") == 2


def test_one_that_fails_shows_the_end_of_its_own_output(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.playbooks(tmp_path / "inventory", {}, "sriov")
    monkeypatch.setenv("STATUS", "2")
    with pytest.raises(LabError, match=rf"ended with status 2 \(all of it: {log}\):\nTASK") as error:
        demo.playbooks(tmp_path / "inventory", {}, "sriov")
    assert str(error.value).count("fatal: something") == 1
