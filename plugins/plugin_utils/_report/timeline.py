# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines of a live update as SVG, with their colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from . import outage

WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 150, 20, 28, 26
LETTER = 6.6
"""Rough width of a letter at 12 px.

It only decides on which side of a bar its text goes.
"""

CSS = """
:root { --unplugging: #b7791f; --copying: #8a9a3b; --saving: #3b6fd4; --saved: #6a5acd; --kexec: #d9622b;
  --resuming: #0f8b8d; --restoring: #2e9e5b; --filling: #98a2b3;
  --checking: #7d5ba6; --vm: #c2255c; --vf: #3b6fd4; }
@media (prefers-color-scheme: dark) { :root { --unplugging: #e0a93b; --copying: #b9c96a; --saving: #6f9bf0;
  --saved: #9c8ff0; --kexec: #f08a55; --resuming: #3fbfc1; --restoring: #5ccb87; --filling: #6b7688;
  --checking: #b794f4; --vm: #f06595; --vf: #6f9bf0; } }
svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.dim { fill: var(--dim); } svg line { stroke: var(--line); }
"""
"""Style of the timelines alone.

``--ink``, ``--dim`` and ``--line`` are those of the page around them.
"""
LABELS = {
    "unplugging": "unplug VFs", "copying": "copy memory", "saving": "save VMs", "saved": "release VMs",
    "kexec": "kexec and boot", "resuming": "enable VFs", "restoring": "restore VMs", "filling": "add other VFs",
    "checking": "check VFs",
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """A bar from ``start`` to ``end`` in seconds.

    ``colour`` names a CSS variable, ``text`` stands beside it.
    """

    label: str
    start: float
    end: float
    colour: str
    text: str


def of_batches(report: Mapping[str, Any]) -> str:
    """All hosts on one time axis, batch by batch.

    Empty when none has ended a phase.
    """
    spans = {host["name"]: span(host) for host in report["hosts"]}
    bars = [
        Bar(name, one[0], one[1], "vf", f"batch {number}, {one[1] - one[0]:.1f} s")
        for number, batch in enumerate(report["batches"], start=1)
        for name in batch
        if (one := spans.get(name))
    ]
    return _chart(bars, "Batches over time") if bars else ""


def of_host(host: Mapping[str, Any]) -> str:
    """Phases and VMs of one host; empty when no phase has ended."""
    bars = [
        Bar(
            LABELS.get(p["name"], p["name"]), p["start"], p["end"], _colour(p["name"]), f"{p['end'] - p['start']:.2f} s"
        )
        for p in host["phases"]
        if p["end"] is not None
    ]
    for vm in host["vms"]:
        if vm["paused_at"] is not None and vm["resumed_at"] is not None:
            text = "" if vm["outage_s"] is None else f"outage {outage.shown(vm)}"
            end = vm["paused_at"] + (vm["outage_s"] or vm["resumed_at"] - vm["paused_at"])
            bars.append(Bar(f"VM {vm['name']}", vm["paused_at"], end, "vm", text))
    return _chart(bars, f"Timeline of {host['name']}") if bars else ""


def _colour(phase: str) -> str:
    """Colour of a phase.

    Names come from the host, and not all of them are safe in a style.
    """
    return phase if phase in LABELS else "filling"


def span(host: Mapping[str, Any]) -> tuple[float, float] | None:
    """Begin and end of a host's update.

    None when no phase has ended.
    """
    ends = [phase["end"] for phase in host["phases"] if phase["end"] is not None]
    return (min(phase["start"] for phase in host["phases"]), max(ends)) if ends else None


def _chart(bars: Sequence[Bar], title: str) -> str:
    """Chart with one row per bar.

    Its ticks are in seconds since the first bar begins. ``title`` is for screen readers.
    """
    start = min(item.start for item in bars)
    total = max(max(item.end for item in bars) - start, 1e-6)
    scale = (WIDTH - LEFT - RIGHT) / total
    height = TOP + ROW * len(bars) + 6
    rows = "".join(_row(item, start, scale, TOP + ROW * number) for number, item in enumerate(bars))
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{_axis(total, scale, height)}{rows}</svg>"
    )


def ticks(total: float) -> list[float]:
    """About eight round moments from 0 to ``total``.

    Steps are 1, 2 or 5 times a power of ten.
    """
    rough = total / 8
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * number for number in range(int(total / step) + 1)]


def _axis(total: float, scale: float, height: int) -> str:
    parts = []
    for moment in ticks(total):
        x = LEFT + moment * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 4}"/>'
            f'<text class="dim" x="{x:.1f}" y="14" text-anchor="middle">{moment:g} s</text>'
        )
    return "".join(parts)


def _row(item: Bar, start: float, scale: float, y: int) -> str:
    x = LEFT + (item.start - start) * scale
    width = max((item.end - item.start) * scale, 2.0)
    return (
        f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(item.label)}</text>'
        f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{ROW - 9}" rx="4" '
        f'style="fill:var(--{item.colour})">'
        f"<title>{escape(item.label)}: {escape(item.text)}</title></rect>{_text(item, x, width, y)}"
    )


def _text(item: Bar, x: float, width: float, y: int) -> str:
    """Text beside the bar; inside it where there is no room."""
    length = len(item.text) * LETTER + 8
    if x + width + length < WIDTH:
        return f'<text class="dim" x="{x + width + 6:.1f}" y="{y + 17}">{escape(item.text)}</text>'
    if x - length > LEFT:
        return f'<text class="dim" x="{x - 6:.1f}" y="{y + 17}" text-anchor="end">{escape(item.text)}</text>'
    return f'<text x="{x + 8:.1f}" y="{y + 17}" style="fill:#fff;font-weight:600">{escape(item.text)}</text>'
