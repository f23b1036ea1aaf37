# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars on a time axis as SVG; colours are CSS variables of the page around it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 150, 20, 28, 26
LETTER = 6.6
"""Rough width of a letter at 12 px: only decides on which side of a bar its text goes."""


@dataclass(frozen=True)
class Bar:
    """From ``start`` to ``end`` in seconds; ``colour`` names a CSS variable, ``text`` stands beside it."""

    label: str
    start: float
    end: float
    colour: str
    text: str


def chart(bars: Sequence[Bar], title: str) -> str:
    """One row per bar, ticks in seconds since the first one begins; ``title`` is for those who cannot see it."""
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
    """Round moments from 0 to ``total``, about eight of them: steps of 1, 2 or 5 times a power of ten."""
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
    """To the right of the bar, to its left where there is no room, else inside it."""
    length = len(item.text) * LETTER + 8
    if x + width + length < WIDTH:
        return f'<text class="dim" x="{x + width + 6:.1f}" y="{y + 17}">{escape(item.text)}</text>'
    if x - length > LEFT:
        return f'<text class="dim" x="{x - 6:.1f}" y="{y + 17}" text-anchor="end">{escape(item.text)}</text>'
    return f'<text x="{x + 8:.1f}" y="{y + 17}" style="fill:#fff;font-weight:600">{escape(item.text)}</text>'
