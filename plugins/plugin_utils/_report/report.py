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

from . import evidence

PATTERN = r"life n=(\d+) boot=(\S+)"
"""Pattern of a heartbeat in a log.

Its first group is a counter, its second the guest's boot id.
"""

COPIED = (
    "kernel_before", "kernel_after", "interface", "pfs", "vfs_enabled", "used_ids", "present_ids_at_first_restore",
    "present_ids_at_last_restore", "vfs_present_at_end", "phases",
)  # fmt: skip
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
        stamp, match = STAMP.match(line), wanted.search(line)
        if stamp and match and _is_counter(match.group(1)):
            found.append(Heartbeat(float(stamp.group(1)), int(match.group(1)), match.group(2)))
    return sorted(found, key=lambda heartbeat: heartbeat.time)


def _is_counter(text: str | None) -> bool:
    return text is not None and len(text) <= LONGEST_COUNTER and text.isascii() and text.isdecimal()


def largest_gap(heartbeats: Sequence[Heartbeat]) -> tuple[Heartbeat, Heartbeat] | None:
    """The two neighbours farthest apart; None with fewer than two heartbeats."""
    pairs = list(zip(heartbeats, heartbeats[1:]))
    return max(pairs, key=lambda pair: pair[1].time - pair[0].time) if pairs else None


def vm_report(vm: Mapping[str, Any], heartbeats: Sequence[Heartbeat]) -> dict[str, Any]:
    """Report of one VM.

    ``outage_s`` is the largest gap in its own log; before and after are the neighbours of its pause.
    """
    gap = largest_gap(heartbeats)
    before, after = _around(vm, heartbeats)
    return {
        "name": vm["name"],
        "vfs": vm["vfs"],
        "paused_at": vm["paused_at"],
        "resumed_at": vm["resumed_at"],
        "outage_s": None if gap is None else round(gap[1].time - gap[0].time, 6),
        "boot_id_before": before.boot_id if before else None,
        "boot_id_after": after.boot_id if after else None,
        "counter_before": before.counter if before else None,
        "counter_after": after.counter if after else None,
    }


def _around(vm: Mapping[str, Any], heartbeats: Sequence[Heartbeat]) -> tuple[Heartbeat | None, Heartbeat | None]:
    """Heartbeats before the pause and after the gap that followed.

    The node stamps the resume when QEMU has answered; the guest may have sent one a moment earlier.
    """
    if vm["paused_at"] is None:
        return None, None
    before = [one for one in heartbeats if one.time <= vm["paused_at"]]
    start = before[-1].time if before else vm["paused_at"]
    gap = largest_gap([one for one in heartbeats if one.time >= start])
    return (before[-1] if before else None), (gap[1] if gap else None)


def host_report(
    name: str, result: Mapping[str, Any], logs: Mapping[str, str], patterns: Mapping[str, str]
) -> dict[str, Any]:
    """Report of one host.

    ``logs``: text of each VM's log by its name; ``patterns``: those of their heartbeats.
    """
    vms = [
        vm_report(vm, parse_log(logs.get(vm["name"], ""), patterns.get(vm["name"], PATTERN))) for vm in result["vms"]
    ]
    return {"name": name, **{key: result[key] for key in COPIED}, "vms": vms, "result": result["result"]}


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


def report_from_evidence(folder: str, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Report of the hosts ``names``, or of all, from ``folder``.

    The folder has one of each host, with result.json, host.json (name, batch, patterns) and guest-VM.log of each VM.
    """
    wanted = None if names is None else set(names)
    hosts, begun = [], []
    for path in sorted(item.parent for item in Path(folder).glob("*/result.json")):
        found = _host_from(path, wanted)
        if found is not None:
            host, batch = found
            hosts.append(host)
            begun.append((min((phase["start"] for phase in host["phases"]), default=0.0), batch))
    return {"hosts": hosts, "batches": batches(begun, [host["name"] for host in hosts])}


def _host_from(path: Path, wanted: set[str] | None) -> tuple[dict[str, Any], list[str]] | None:
    """Report and batch of the host with evidence in ``path``.

    None for one that is not wanted. Evidence that cannot be read makes a host of result ``unreadable``, named after
    its folder where nothing better is known.
    """
    name, batch = path.name, [path.name]
    try:
        about = evidence.read_json(path / "host.json")
        name, batch = str(about["name"]), [str(one) for one in about["batch"]]
        if wanted is not None and name not in wanted:
            return None
        result = evidence.checked(evidence.read_json(path / "result.json"))
        logs = {file.stem[6:]: _log(file) for file in path.glob("guest-*.log")}
        return host_report(name, result, logs, about.get("patterns", {})), batch
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        if wanted is not None and name not in wanted:
            return None
        return {**host_report(name, evidence.EMPTY, {}, {}), "result": f"unreadable evidence: {error}"}, batch


def _log(file: Path) -> str:
    """The end of a guest's log, at most `evidence.LARGEST` bytes."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - evidence.LARGEST))
        return stream.read().decode("utf-8", errors="replace")
