# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report of a live update, computed from evidence alone.

Evidence is result.json of each host and what its guests logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import estimate, evidence, outage, strategies

PATTERN = r"life n=(\d+) boot=(\S+)"
"""Pattern of a heartbeat in a log.

Its first group is a counter, its second the guest's boot id.
"""

COPIED = (
    "kernel_before", "kernel_after", "interface", "pfs", "vfs_enabled", "used_ids", "present_ids_at_first_restore",
    "present_ids_at_last_restore", "vfs_present_at_end", "phases",
)  # fmt: skip
NO_PART = ("refused", "unreachable", "not begun", "nothing to do")
"""Results of hosts that were in no batch."""
STAMP = re.compile(r"(\d{1,12}\.\d{1,9}) ", re.ASCII)
LONGEST_COUNTER = 18
"""Most digits of a heartbeat's counter."""


@dataclass(frozen=True)
class Heartbeat:
    """A heartbeat of a guest.

    ``time``: in seconds since the epoch, by the host's clock.
    """

    time: float
    counter: int
    boot_id: str


def parse_log(text: str, pattern: str = PATTERN) -> list[Heartbeat]:
    """Heartbeats in the output of ``journalctl -o short-unix``, by time."""
    wanted = re.compile(pattern)
    found = []
    for line in text.split("\n"):  # a guest may print the other line breaks of Unicode, and forge a stamp behind them
        match = wanted.search(line) if is_heartbeat(line, wanted) else None
        if match:
            found.append(Heartbeat(float(line.split(" ", 1)[0]), int(match.group(1)), match.group(2)))
    return sorted(found, key=lambda heartbeat: heartbeat.time)


def is_heartbeat(line: str, wanted: re.Pattern[str]) -> bool:
    match = wanted.search(line)
    return match is not None and STAMP.match(line) is not None and _is_counter(match.group(1))


def _is_counter(text: str | None) -> bool:
    return text is not None and len(text) <= LONGEST_COUNTER and text.isascii() and text.isdecimal()


def largest_gap(heartbeats: Sequence[Heartbeat]) -> tuple[Heartbeat, Heartbeat] | None:
    """The two neighbours farthest apart; None with fewer than two heartbeats."""
    pairs = list(zip(heartbeats, heartbeats[1:]))
    return max(pairs, key=lambda pair: pair[1].time - pair[0].time) if pairs else None


def vm_report(
    vm: Mapping[str, Any], heartbeats: Sequence[Heartbeat], phases: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Report of one VM.

    ``phases``: of its host. Counters and boot ids before and after are those around its pause.
    """
    before, after, gap_s = _around(vm, heartbeats)
    found = {
        "name": vm["name"],
        "vfs": vm["vfs"],
        "paused_at": vm["paused_at"],
        "stopped_at": vm.get("stopped_at"),
        "resumed_at": vm["resumed_at"],
        "seen_at": vm.get("seen_at"),
        "seen_by": vm.get("seen_by"),
        "not_seen": vm.get("not_seen"),
        "not_compared": vm.get("not_compared") or [],
        "result": vm.get("result"),
        "error": vm.get("error"),
        "gap_s": gap_s,
        **outage.of(vm, phases, gap_s),
        "boot_id_before": before.boot_id if before else None,
        "boot_id_after": after.boot_id if after else None,
        "counter_before": before.counter if before else None,
        "counter_after": after.counter if after else None,
    }
    return {**found, "state": outage.state(found)}


def _around(
    vm: Mapping[str, Any], heartbeats: Sequence[Heartbeat]
) -> tuple[Heartbeat | None, Heartbeat | None, float | None]:
    """Heartbeats around the gap of the pause, and the gap in seconds.

    The node stamps the resume when QEMU has answered; the guest may have sent one a moment earlier.
    """
    if vm["paused_at"] is None:
        return None, None, None
    before = [one for one in heartbeats if one.time <= vm["paused_at"]]
    start = before[-1].time if before else vm["paused_at"]
    gap = largest_gap([one for one in heartbeats if one.time >= start])
    seconds = None if gap is None else round(gap[1].time - gap[0].time, 6)
    return (before[-1] if before else None), (gap[1] if gap else None), seconds


def host_report(
    name: str,
    result: Mapping[str, Any],
    logs: Mapping[str, str],
    patterns: Mapping[str, str],
    seen: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Report of one host.

    ``logs``: text of each VM's log by its name; ``patterns``: those of their heartbeats; ``seen``: what was seen of
    the VMs' VFs, which counts more than what the result says of it.
    """
    vms = [
        vm_report(
            {**vm, **(seen or {}).get(vm["name"], {})},
            parse_log(logs.get(vm["name"], ""), patterns.get(vm["name"], PATTERN)),
            result["phases"],
        )
        for vm in result["vms"]
    ]
    return {
        "name": name, "update": result.get("manifest"), **{key: result[key] for key in COPIED}, "vms": vms,
        "result": result["result"] or "unfinished", "error": result.get("error") or "",
        **estimate.of({}), **strategies.of({}),
    }  # fmt: skip


def batches(begun: Iterable[tuple[float, Sequence[str]]], names: Iterable[str]) -> list[list[str]]:
    """Batches of the report's hosts, by begin.

    ``begun``: (begin, batch) of each host.
    """
    known, ordered = set(names), []
    for _start, batch in sorted(begun, key=lambda item: item[0]):
        mine = [name for name in batch if name in known]
        if mine and mine not in ordered:
            ordered.append(mine)
    return ordered


def report_from_evidence(
    folder: str, run: str = "", hosts: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Report of one run from its ``folder`` of evidence.

    That has a folder of each host, with result.json, host.json (name, batch, patterns), seen.json (what was seen of
    VFs) and guest-VM.log of each VM, or failure.json, what the controller says of a failure. ``hosts`` are all that
    were asked for, with result and error where there is no evidence; every one is in the report, lost ones first.
    Without it, those with evidence are.
    """
    seen = [_host_from(path) for path in sorted(Path(folder).glob("*")) if path.is_dir()]
    found = {host["name"]: host for host, _batch in seen if hosts is None or host["name"] in hosts}
    for name, known in (hosts or {}).items():
        if name not in found:
            found[name] = {**host_report(name, evidence.EMPTY, {}, {}), **known}
    begun = [(min((p["start"] for p in host["phases"]), default=0.0), batch) for host, batch in seen if host["phases"]]
    ordered = sorted(found.values(), key=lambda host: (_rank(host), host["name"]))
    took_part = [host["name"] for host in ordered if host["result"] not in NO_PART]
    return {"run": run, "hosts": ordered, "batches": batches(begun, took_part)}


def _rank(host: Mapping[str, Any]) -> int:
    """Place of a host: lost, not begun, well."""
    return {"not begun": 1, "updated": 2, "nothing to do": 3}.get(host["result"], 0)


def _host_from(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Report and batch of the host with evidence in ``path``.

    Evidence that cannot be read makes a host of result ``unreadable evidence``, named after its folder where nothing
    better is known. What the controller says of its failure counts, whatever the host says.
    """
    name, batch = path.name, [path.name]
    failure = _failure(path)
    if failure and not (path / "result.json").exists():
        return {**host_report(name, evidence.EMPTY, {}, {}), "result": "failed", "error": failure}, batch
    try:
        about = evidence.read_json(path / "host.json")
        name, batch = str(about["name"]), [str(one) for one in about["batch"]]
        result = evidence.checked(evidence.read_json(path / "result.json"))
        logs = {file.stem[6:]: _log(file) for file in path.glob("guest-*.log")}
        host = host_report(name, result, logs, about.get("patterns", {}), _seen(path))
        host |= estimate.of(about) | strategies.of(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        host = {**host_report(name, evidence.EMPTY, {}, {}), "result": f"unreadable evidence: {error}"}
    if failure:
        good = host["result"] == "updated"
        more = "" if not host["error"] or host["error"] in failure else f"{host['error']}; "
        host |= {"result": "failed" if good else host["result"], "error": more + failure}
    return host, batch


def _failure(path: Path) -> str:
    """Why the controller counts a host as failed, or empty."""
    try:
        return str(evidence.read_json(path / "failure.json")["error"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"failure.json cannot be read: {error}"


def _seen(path: Path) -> dict[str, dict[str, Any]]:
    """What was seen of the VMs' VFs; nothing where nobody has looked."""
    file = path / "seen.json"
    return evidence.seen(evidence.read_json(file)) if file.exists() else {}


def _log(file: Path) -> str:
    """The end of a guest's log, at most `evidence.LARGEST` bytes."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - evidence.LARGEST))
        return stream.read().decode("utf-8", errors="replace")
