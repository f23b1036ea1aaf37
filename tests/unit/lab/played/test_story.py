# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make try``: the whole story, where only this checkout can be written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab import output
from lab.played import step, story
from lab.played.host import NEW
from lab.progress import LabError

from .test_interpreter import UNSHARE, pytestmark  # noqa: F401 - it needs user namespaces too

ROOT = Path(__file__).resolve().parents[4]
ALONE = """set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
if touch /kvmfleet-test 2>/dev/null; then rm /kvmfleet-test; echo "/ can be written" >&2; exit 9; fi
cd "$1"
exec "$2" -m lab try
"""
"""All of this machine's root file system but the checkout is read-only."""


@pytest.mark.slow
def test_the_story_writes_nothing_outside_the_checkout(tmp_path: Path) -> None:
    python = ROOT / ".venv/bin/python"
    environment = {**os.environ, "PYTHONPATH": "build/src:.", "HOME": str(tmp_path), "TMPDIR": str(ROOT / "build")}
    words = [*UNSHARE, "sh", "-c", ALONE, "sh", str(ROOT), str(python if python.exists() else sys.executable)]
    done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    said = done.stdout
    assert "Everything here is played" in said.splitlines()[0]
    assert re.search(r"-        pf: hardware_vfs 0, present_vfs none\n.*\n.*\+        pf: hardware_vfs 7", said)
    assert "VF 0 of PF 0000:03:00.0 by VM web1, process 4711" in said
    assert re.search(r"-        vfs 2: mac 02:de:ad:00:00:02 vlan 7\n", said)
    assert [line for line in said.splitlines() if "ok: [hv1]" in line] != []
    assert "batch 1: hv1" in said
    assert said.count("VM web1: about 11.4 s of standing still, 12.1 s without its VFs") == 2
    why = "VM db1 has no QMP socket, so it cannot be saved: start it with -qmp, or stop it"
    why = f"hv3: refused: hv3 cannot be updated. {why}"
    assert said.count(why) == 2
    assert "No host is touched: hv3 is refused, and live_update_on_refused is stop" in said
    assert re.search(rf"hv2: updated, .*-> {re.escape(NEW)} ", said)
    assert "<svg" in (story.FOLDER / "report/latest/report.html").read_text()


def test_user_namespaces_that_are_off_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2; exit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(LabError, match=r"Operation not permitted.*user namespaces, which are off here"):
        story._require()


def test_a_step_that_shows_nothing_is_an_error(tmp_path: Path) -> None:
    class Silent:
        @staticmethod
        def run(*_words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess([], 0, "PLAY RECAP", "")

    steps = step.Steps(Silent(), tmp_path / "log")  # type: ignore[arg-type]  # only run is called
    with pytest.raises(LabError, match="step 1 did not end as it should"):
        steps.playbook("Title", "sriov", shows=output.task("Nothing"))
