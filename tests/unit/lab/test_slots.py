"""Hosts at work at the same time, over all runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.machine import slots


@pytest.fixture(autouse=True)
def two_slots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(slots, "COUNT", 2)
    monkeypatch.setattr(slots, "POLL_S", 0.01)
    monkeypatch.setattr(slots, "cache", lambda: tmp_path)


def test_more_hosts_than_slots_wait_for_their_turn() -> None:
    at_once: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with slots.slot(f"host {number}"):
            at_once.append(number)
            most.append(len(at_once))
            held.wait(0.05)
            at_once.remove(number)

    held = threading.Event()
    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 6
    assert max(most) == 2


def test_a_slot_is_free_again_after_a_failure() -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="lost"), slots.slot("host"):
            raise ValueError("lost")
    with slots.slot("one"), slots.slot("two"):
        pass


def test_another_process_counts_until_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys, pathlib; from lab.machine import slots; slots.COUNT = 2\n"
        "slots.cache = lambda: pathlib.Path(sys.argv[1])\n"
        "with slots.slot('a'), slots.slot('b'): print(flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"\n"
    threading.Timer(0.2, other.kill).start()
    with slots.slot("mine"):
        assert other.wait(10) != 0
    assert "mine waits: 2 hosts are at work" in capsys.readouterr().err
