"""The jumps of the conformance cases: kexecs of a host.

Each between two halves of tests/conformance/run_jumps.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from ..machine import host
from ..machine.host import Running
from ..progress import LabError, say
from . import kexec

FOLDER = "/root/conformance"
"""Folder on the host: tests/conformance/, and the engine's package."""
LOG = f"{FOLDER}/jumps.log"


def run_on(
    entry: Running, words: str, keep: Callable[[list[dict[str, Any]]], None] = lambda _rows: None
) -> list[dict[str, Any]]:
    """Make a host's jumps, all or those that ``words`` select.

    Returns their rows, also when the host was lost meanwhile. After each kexec the rows known by then go to ``keep``.
    """
    answer = ask(entry, "plan", words)
    for number, hop in enumerate(answer["hops"]):
        what = ", ".join([hop["jump"] or "no jump", f"{len(hop['cases'])} cases", hop["words"] or "no more words"])
        say(f"{entry.host.name}: kexec {number + 1} of {len(answer['hops'])}: {what}")
        try:
            ask(entry, "before", str(number))
            start = entry.log.stat().st_size
            kexec.jump(entry, FOLDER, hop["words"])
            entry.ssh.run(f"cat >{FOLDER}/console.txt", data=entry.log.read_bytes()[start:])
            answer = ask(entry, "after", str(number))
            keep([row for row in answer["rows"] if row["result"] != "fail"])
        except (LabError, subprocess.TimeoutExpired) as error:
            say(f"{entry.host.name} is lost, and stopped: {error}")
            host.stop(entry)
            break
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


def ask(entry: Running, step: str, words: str) -> dict[str, Any]:
    """Run one step of the program on the host; returns its answer."""
    pfs = " ".join(f"--pf {pf.address}" for pf in entry.host.pfs)
    program = f"python3 run_jumps.py {pfs} --kernel {entry.host.flavour} {step} {words}"
    entry.ssh.unattended(
        f"cd {FOLDER} && rm -f answer.json && {program} >answer.new 2>>{LOG} && mv answer.new answer.json"
    )
    text = entry.ssh.run(f"cat {FOLDER}/answer.json || tail -n 5 {LOG}")
    try:
        answer: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabError(f"{entry.host.name}: run_jumps.py {step} {words} failed: {text}") from error
    return answer


def merged(rows: list[dict[str, Any]], later: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Merge rows: one for each name and PF.

    A later one takes the place of that case's skip on a kernel without its words.
    """
    every = {(row["name"], row["pf"]): row for row in [*rows, *later]}
    return list(every.values())
