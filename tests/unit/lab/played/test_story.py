# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make try``: the whole story, where only this checkout can be written."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lab import output
from lab.played import expected, keep, step, story
from lab.played.host import NEW
from lab.progress import LabError

from .test_interpreter import UNSHARE, pytestmark  # noqa: F401 - it needs user namespaces too

ROOT = Path(__file__).resolve().parents[4]
ALONE = """set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro /
if touch /kvmfleet-test 2>/dev/null; then rm /kvmfleet-test; echo "/ can be written" >&2; exit 9; fi
cd "$1"
exec "$2" -m lab try --keep
"""
"""All of this machine's root file system but the checkout is read-only."""


@pytest.mark.slow
def test_the_story_writes_nothing_outside_the_checkout(tmp_path: Path) -> None:
    """Its hosts stay for commands until its input ends."""
    python = ROOT / ".venv/bin/python"
    environment = {
        **os.environ, "PYTHONPATH": "build/src:.", "HOME": str(tmp_path), "TMPDIR": str(ROOT / "build"),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    words = [*UNSHARE, "sh", "-c", ALONE, "sh", str(ROOT), str(python if python.exists() else sys.executable)]
    with subprocess.Popen(
        words, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as story_run:  # fmt: skip
        assert story_run.stdin is not None
        assert story_run.stdout is not None
        said = ""
        for line in story_run.stdout:
            said += line
            if line.startswith("ansible.cfg there"):
                break
        typed = re.findall(r"^  (\S+/ansible-playbook .*)$", said, re.M)
        ended = [typed_in_its_folder(line, tmp_path) for line in typed]
        story_run.stdin.close()
        rest = story_run.stdout.read()
    assert story_run.returncode == 0, said + rest
    assert rest == "The played hosts have ended.\n"
    assert f"\n  cd {story.FOLDER}\n" in said
    (declared, predicted) = ended
    assert declared.returncode == 0, declared.stdout + declared.stderr
    assert re.search(r"-        vfs 4-6: vlan 0\n\+        vfs 4-6: vlan 200\n", declared.stdout)
    assert [one.differs(output.predicted(predicted.stdout)) for one in expected.PREDICTED] == ["", "", ""]
    assert list(tmp_path.iterdir()) == []
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


def typed_in_its_folder(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What an operator's shell makes of it, without any variable of Ansible."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return subprocess.run(
        line, shell=True, cwd=story.FOLDER, env={**own, "HOME": str(home)}, capture_output=True, text=True
    )


def test_user_namespaces_that_are_off_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2; exit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(LabError, match=r"Operation not permitted.*user namespaces, which are off here"):
        story._require()


class Programs:
    """A fleet whose programs end with a status and an output."""

    def __init__(self, status: int, text: str) -> None:
        self.ended = subprocess.CompletedProcess([], status, text, "")

    def run(self, *_words: str) -> subprocess.CompletedProcess[str]:
        return self.ended


def ends(folder: Path, status: int, text: str, *what: expected.Expected, fails: bool = False) -> None:
    steps = step.Steps(Programs(status, text), folder / "log")  # type: ignore[arg-type]  # only run is called
    steps.step("Title", "ansible", shows=str, expects=what, fails=fails)


@pytest.mark.parametrize(
    ("status", "text", "fails", "why"),
    [
        (0, "", False, "it has nothing to show"),
        (2, "x", False, "status 2"),
        (0, "hv3: refused: x", True, "status 0"),
        (2, "hv1: refused: x\nhv3: refused: x", True, "hosts that refuse: hv1, hv3 instead of hv3"),
        (2, "hv1: not begun", True, "hosts that refuse: none instead of hv3"),
    ],
)
def test_a_step_that_does_not_end_as_told_is_an_error(
    tmp_path: Path, status: int, text: str, fails: bool, why: str
) -> None:
    with pytest.raises(LabError, match=f"step 1 did not end as expected: {why} "):
        ends(tmp_path, status, text, *[expected.REFUSED][: int(fails)], fails=fails)


BATCH = """batch 1: hv1
  hv1: outage of about 12.5 s expected, the budget is 60 s
    VM web1: about 11.4 s of standing still, 12.1 s without its VFs
batch 2: hv2
  hv2: outage of about 12.5 s expected, the budget is 60 s
    VM web1: about 11.4 s of standing still, 12.1 s without its VFs
hv3: refused: hv3 cannot be updated
"""
TIMELINE = """hv3: refused: hv3 cannot be updated
hv2: updated, a -> b (vf-id), 12.5 s of outage predicted
hv1: updated, a -> b (vf-id), 12.5 s of outage predicted
  VM web1       |   #### | outage at least 11.90 s, resumed, VF not checked, counter 1 -> 2
"""


@pytest.mark.parametrize(
    ("what", "text", "loses", "why"),
    [
        (expected.PREDICTED, BATCH, "", ""),
        (expected.PREDICTED, BATCH, "    VM web1: about 11.4 s", "VMs with an estimate: none instead of web1, web1"),
        (expected.PREDICTED, BATCH, "hv3: refused", "hosts that refuse: none instead of hv3"),
        (expected.PREDICTED, BATCH, "  hv2: outage", "hosts with an expected outage: hv1 instead of hv1, hv2"),
        (expected.UPDATED, TIMELINE, "", ""),
        (expected.UPDATED, TIMELINE, "hv2: updated", "hosts that were updated: hv1 instead of hv1, hv2"),
        (expected.UPDATED, TIMELINE, "  VM web1", "VMs in the first timeline: none instead of web1"),
        ([expected.changes("hv2")], "ok: [hv1]\nchanged: [hv2]\nok: [hv3]", "", ""),
        ([expected.changes("hv2")], "ok: [hv1]\nok: [hv2]", "", "hosts that change: none instead of hv2"),
        ([expected.changes("hv1")], "hv1: ok=15   changed=5\nhv2: ok=15   changed=0", "", ""),
    ],
)
def test_what_the_end_of_a_step_must_name(what: Sequence[expected.Expected], text: str, loses: str, why: str) -> None:
    shown = text.replace(loses, "?") if loses else text
    assert [one.differs(shown) for one in what if one.differs(shown)] == ([why] if why else [])


@pytest.mark.parametrize("keep", [False, True])
def test_the_end_says_whether_hosts_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], keep: bool
) -> None:
    for name in ("_require", "_declare", "_update", "_play_updates", "Fleet"):
        monkeypatch.setattr(story, name, lambda *_words: None)
    monkeypatch.setattr(story, "FOLDER", tmp_path / "try")
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed into the wrong terminal\n"))
    story.run(keep)
    said = capsys.readouterr().out
    assert ("The played hosts end with this run; `make try KEEP=1` keeps them" in said) is not keep
    assert (f"In another terminal:\n\n  cd {tmp_path}/try\n" in said) is keep
    assert said.endswith("The played hosts have ended.\n") is keep


def test_ctrl_c_ends_hosts_that_were_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def pressed() -> Iterator[str]:
        raise KeyboardInterrupt
        yield ""

    keep.wait(tmp_path, pressed())
    assert capsys.readouterr().out.endswith("The played hosts have ended.\n")
