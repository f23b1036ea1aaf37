"""Time a restored guest until its network answers (``python -m bench.first_reply``).

One level of emulation, without a host: the lab's guest, whose network device is unplugged for the save and plugged
again, as a VF is. Each case is timed at full speed and slowed down, by which the guest's work takes as many times
longer, and what it waits for does not: a straight line through both gives the two parts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.paths import REPOSITORY
from lab.progress import LabError, say

from .reply_guest import LIFE, REPLY, Guest, beat, first, nic, slowed

RESULTS = REPOSITORY / "build" / "bench" / "first_reply.json"
MARKS = {"life_s": LIFE, "network_s": "network ", "reply_s": REPLY}
"""What the console shows first, after the guest goes on."""
BOOT_S, REPLY_S = 300.0, 120.0
BEATS = 8
"""Heartbeats by which a guest's pace is known; twice a second."""


@dataclass(frozen=True)
class Case:
    """A way back of a guest that was stopped.

    ``anew``: in another QEMU, from a file; ``plugged``: its network device was unplugged before.
    """

    anew: bool
    plugged: bool


CASES: Mapping[str, Case] = {
    "stopped": Case(anew=False, plugged=False),
    "stopped, network plugged": Case(anew=False, plugged=True),
    "restored": Case(anew=True, plugged=False),
    "restored, network plugged": Case(anew=True, plugged=True),
}


def measure(case: Case, times: int) -> dict[str, float]:
    """Time a case, slowed down so many times; seconds, and `blocks` translated."""
    with tempfile.TemporaryDirectory(prefix="kf") as folder, contextlib.ExitStack() as ends:
        state = Path(folder) / "state"
        guest = Guest(Path(folder), "a", "-device", nic())
        ends.callback(guest.end)
        guest.wait_for(REPLY, 0.0, BOOT_S)
        time.sleep(BEATS)
        pace = beat(guest.lines, BEATS)
        if case.plugged:
            guest.unplug()
        guest.execute("stop")
        if case.anew:
            guest.migrate("migrate", state)
            guest.end()
            guest = Guest(Path(folder), "b", "-incoming", "defer", *([] if case.plugged else ["-device", nic()]))
            ends.callback(guest.end)
            guest.migrate("migrate-incoming", state)
        time.sleep(1)
        if case.plugged:
            guest.plug()
        return {**_timed(guest, times), "beat_s": pace}


def _timed(guest: Guest, times: int) -> dict[str, float]:
    before = guest.translated()
    begin = time.monotonic()
    guest.execute("cont")
    with slowed(guest.process.pid, times):
        for text in (REPLY, LIFE):
            guest.wait_for(text, begin, REPLY_S * times)
    found = {name: first(guest.lines, text, begin) for name, text in MARKS.items()}
    seen = {name: seconds for name, seconds in found.items() if seconds is not None}
    return {**seen, "blocks": float(guest.translated() - before)}


def parts(fast: float, slow: float, times: int) -> dict[str, float]:
    """Divide a time into work and waiting, by how it grows."""
    work = (slow - fast) / (times - 1)
    return {"seconds": fast, "slowed_s": slow, "work_s": work, "wait_s": fast - work}


def results(samples: Mapping[int, Sequence[Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Results of a case; its samples by how much it was slowed."""
    times = max(samples)
    median = {
        factor: {name: statistics.median(one[name] for one in found) for name in found[0]}
        for factor, found in samples.items()
    }
    marks = {name: parts(median[1][name], median[times][name], times) for name in MARKS if name in median[1]}
    others = {name: {"fast": median[1][name], "slowed": median[times][name]} for name in ("blocks", "beat_s")}
    return {**marks, **others}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.first_reply", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--times", type=int, default=10, help="how many times the guest is slowed down")
    parser.add_argument("--only", default="", metavar="CASE", help=f"one of: {'; '.join(CASES)}")
    options = parser.parse_args()
    found = {}
    try:
        for name, case in CASES.items():
            if options.only not in ("", name):
                continue
            samples: dict[int, list[dict[str, float]]] = {1: [], options.times: []}
            for factor in [factor for _run in range(options.runs) for factor in samples]:
                samples[factor].append(measure(case, factor))
                shown = ", ".join(f"{key} {value:.2f}" for key, value in samples[factor][-1].items())
                say(f"{name}, slowed down {factor} times: {shown}")
            found[name] = results(samples)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"slowed_times": options.times, "cases": found}, indent=2) + "\n")
    say(f"written: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
