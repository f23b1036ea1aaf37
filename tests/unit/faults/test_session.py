# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a case: none outlives it, whoever was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import children, node, others
from tests.faults.edges import GO, PAUSED
from tests.faults.fault import BOTH, Fault
from tests.faults.played import state_of
from tests.faults.session import ENDED, KILLED, Session


@pytest.fixture
def session() -> Iterator[Session]:
    """A case without faults; names of its sockets are short."""
    one = Session(Fault("none", "nothing", BOTH, "done"), Path(tempfile.mkdtemp(prefix="kf")))
    yield one
    one.close()
    shutil.rmtree(one.folder)


def test_a_qemu_whose_starter_was_killed_ends_with_it(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it could note which one it has started."""
    note = session.folder / "started"

    def dies(_words: list[str]) -> int:
        process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        note.write_text(f"{process.pid} {state_of(process.pid)[1]}")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it outlived its end")

    monkeypatch.setattr(node, "main", dies)
    assert session.sriovctl("live-update status").kind == KILLED
    pid, start = (int(word) for word in note.read_text().split())
    assert state_of(pid)[1] != start
    assert pid not in children.of_this()


def test_a_process_that_waits_for_another_is_none_of_them(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second controller acts while a run is at work."""
    kinds: list[str] = []
    session.fault = replace(
        session.fault, meanwhile=lambda one: kinds.append(one.sriovctl("live-update status", "other").kind)
    )

    def main(words: list[str]) -> int:
        if words[-1] == "run":
            (session.folder / PAUSED).touch()
            while not (session.folder / GO).exists():
                time.sleep(0.01)
        return 0

    monkeypatch.setattr(node, "main", main)
    kinds.append(session.sriovctl("live-update run").kind)
    assert kinds == [ENDED, ENDED]


def test_a_qemu_has_the_disk_for_good(session: Session) -> None:
    """It opens and closes it before, while it looks for its format."""
    session.host().disk("web1").parent.mkdir(parents=True, exist_ok=True)
    session.host().disk("web1").write_bytes(bytes(1 << 20))
    others.opens_disk("web1")(session)
    (one,) = session.host().alive("by-hand")
    for _look in range(50):
        assert str(session.host().disk("web1")) in {
            os.path.realpath(file) for file in Path(f"/proc/{one.pid}/fd").iterdir()
        }


def test_nothing_outlives_its_case(session: Session) -> None:
    session.host().disk("web1").parent.mkdir(parents=True, exist_ok=True)
    session.host().disk("web1").write_bytes(bytes(1 << 20))
    before = children.of_this()
    others.opens_disk("web1")(session)
    assert children.of_this() - before
    session.close()
    assert children.of_this() <= before
