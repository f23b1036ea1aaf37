"""Interruptions at their place; one that misses it is an error.

One that comes too early or too late proves nothing.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from lab.progress import LabError
from lab.scenarios import kills

KILL = kills.Kill("here", "Do it", 0.2, kills.NOTHING)
WORKER = """
import os, sys, time
child = os.fork()
if not child:
    os.setsid()
    time.sleep(60)
print(f"worker {child}", flush=True)
print("TASK [role : Do it] ***", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kills, "FOLDER", tmp_path)
    return tmp_path / "playbooks.log"


def test_workers_in_sessions_of_their_own_end_too(log: Path) -> None:
    kills.run_until([sys.executable, "-c", WORKER], KILL)
    worker = int(log.read_text().split("worker ")[1].split()[0])
    assert worker != os.getpid()
    end = time.monotonic() + 30  # a killed process is gone when it was scheduled once more
    while alive(worker):
        assert time.monotonic() < end, f"worker {worker} lives"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("print('TASK [role : Something else] ***')", "never began"),
        ("print('TASK [role : Do it] ***')", "was over before it was killed"),
    ],
)
def test_an_interruption_that_hits_nothing_is_an_error(program: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        kills.run_until([sys.executable, "-c", program], KILL)
