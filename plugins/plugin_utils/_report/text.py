# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report of a live update as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable

from . import estimate, outage, strategies


def lines(report: Mapping[str, Any], width: int = 46) -> list[str]:
    """A bar per phase and VM, on one time axis per host."""
    found = []
    for number, batch in enumerate(report["batches"], start=1):
        found.append(f"batch {number}: {', '.join(batch)}")
    for host in report["hosts"]:
        found.extend(_host_lines(host, width))
    return [printable(line) for line in found]


def lost(report: Mapping[str, Any], most: int = 50) -> list[str]:
    """Counts of results, and lost hosts with their reasons."""
    hosts = report["hosts"]
    counts = Counter(str(host["result"]).split(":", 1)[0] for host in hosts)
    bad = [host for host in hosts if host["result"] not in ("updated", "nothing to do", "not begun")]
    vms = [vm for host in hosts for vm in host["vms"]]
    found = [", ".join(f"{number} {result}" for result, number in counts.items()), outage.summary(vms)]
    found += [printable(f"{host['name']}: {host['result']}: {host['error']}") for host in bad[:most]]
    return [*found, f"and {len(bad) - most} more, see the report"] if len(bad) > most else found


def _host_lines(host: Mapping[str, Any], width: int) -> list[str]:
    phases = [phase for phase in host["phases"] if phase["end"] is not None]
    known = host["kernel_before"] is not None
    kernels = f", {host['kernel_before']} -> {host['kernel_after']} ({host['interface']})" if known else ""
    why = f": {host['error']}" if host["error"] else ""
    found = [f"{host['name']}: {host['result']}{kernels}{estimate.shown(host)}{why}"]
    found += [f"  {left}"] if (left := strategies.left(host)) else []
    if not phases:
        return found
    start, end = phases[0]["start"], max(phase["end"] for phase in phases)
    for phase in phases:
        drawn = _bar(phase["start"] - start, phase["end"] - start, end - start, width, "=")
        found.append(f"  {phase['name']:<14}|{drawn}| {phase['end'] - phase['start']:8.2f} s")
    for vm in host["vms"]:
        if vm["paused_at"] is not None and vm["resumed_at"] is not None:
            found.extend(_vm_lines(vm, start, end - start, width, strategies.shown(host, vm["name"])))
    enabled, present = sum(host["vfs_enabled"].values()), sum(host["vfs_present_at_end"].values())
    first = sum(len(ids) for ids in host["present_ids_at_first_restore"].values())
    last = sum(len(ids) for ids in host["present_ids_at_last_restore"].values())
    counts = f"{first} at the first restore, {last} at the last, {present} at the end"
    return [*found, f"  VFs: {enabled} enabled; present: {counts}"]


def _bar(start: float, end: float, total: float, width: int, mark: str) -> str:
    first = int(start / total * width) if total > 0 else 0
    last = max(first + 1, round(end / total * width)) if total > 0 else width
    return (" " * first + mark * (last - first)).ljust(width)[:width]


def _images(vm: Mapping[str, Any]) -> str:
    return f", not compared: {', '.join(vm['not_compared'])}" if vm["not_compared"] else ""


def _vm_lines(vm: Mapping[str, Any], start: float, total: float, width: int, strategy: str) -> list[str]:
    """Bar of a VM's outage, with its strategy, state and parts."""
    end = vm["paused_at"] + (vm["outage_s"] or 0.0)
    drawn = _bar(vm["paused_at"] - start, min(end - start, total), total, width, "#")
    counted = "" if vm["counter_after"] is None else f", counter {vm['counter_before']} -> {vm['counter_after']}"
    why = f": {vm['not_seen']}" if vm["not_seen"] else ""
    by = f", seen by {vm['seen_by']}" if vm["seen_at"] is not None else ""
    parts = " + ".join(f"{part['name']} {part['s']:.2f}" for part in vm["parts"])
    made = [f"  {'':<14} = {parts}"] if parts else []
    ended = f"{strategy}, {vm['state']}{why}{by}{counted}{_images(vm)}"
    return [
        f"  VM {vm['name']:<11}|{drawn}| outage {outage.shown(vm)}{ended}",
        *made,
    ]
