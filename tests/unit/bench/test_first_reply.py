"""The time until a guest's network answers, divided."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from bench.first_reply import parts, results
from bench.reply_guest import Line, beat, first, slowed


def test_what_grows_is_work() -> None:
    assert parts(2.0, 11.0, 10) == {"seconds": 2.0, "slowed_s": 11.0, "work_s": 1.0, "wait_s": 1.0}


def test_results_are_medians() -> None:
    def sample(seconds: float, blocks: float) -> dict[str, float]:
        return {"life_s": seconds, "network_s": 2 * seconds, "reply_s": 3 * seconds, "blocks": blocks, "beat_s": 0.5}

    found = results({
        1: [sample(1.0, 10.0), sample(99.0, 30.0), sample(1.0, 20.0)], 5: [sample(5.0, 7.0), sample(5.0, 9.0)],
    })  # fmt: skip
    assert found["life_s"] == {"seconds": 1.0, "slowed_s": 5.0, "work_s": 1.0, "wait_s": 0.0}
    assert found["reply_s"]["slowed_s"] == 15.0
    assert found["beat_s"] == {"fast": 0.5, "slowed": 0.5}
    assert found["blocks"] == {"fast": 20.0, "slowed": 8.0}


def test_the_first_line_after_a_moment() -> None:
    lines = [Line(1.0, "life n=1"), Line(2.0, "64 bytes from x"), Line(3.5, "life n=2")]
    assert first(lines, "life n=", 1.5) == 2.0
    assert first(lines, "bytes", 2.0) is None


def test_a_heartbeat() -> None:
    """Of the last ones alone, as a guest is slower at first."""
    lines = [Line(at, f"life n={at}") for at in (0.0, 9.0, 9.5, 10.1, 10.6)]
    assert beat([*lines, Line(10.7, "64 bytes from x")], 4) == 0.5


def processor_s(pid: int) -> float:
    """Processor time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_slowed_process_runs_for_a_part_of_the_time_and_goes_on() -> None:
    busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        begin, before = time.monotonic(), processor_s(busy.pid)
        with slowed(busy.pid, 10):
            time.sleep(1.5)
        assert processor_s(busy.pid) - before < (time.monotonic() - begin) / 2
        assert Path(f"/proc/{busy.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T"
    finally:
        busy.send_signal(signal.SIGCONT)
        busy.kill()
        busy.wait()


def test_at_full_speed_nothing_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_arguments: pytest.fail("it was stopped"))
    with slowed(1, 1):
        pass
