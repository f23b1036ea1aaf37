"""Plot the measurement: every run as a dot, medians as bars."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

ROWS = (
    ("stock_all_s", "stock: all 2,500 VFs", "#b5534b"),
    ("stock_used_s", "stock: the 100 used VFs", "#d39a5c"),
    ("series_s", "series: the 100 used VFs, engine", "#3f7f93"),
    ("floor_s", "floor: the same writes from C", "#9fb8bf"),
)


def plot(stage: dict[str, Any], path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(9, 3.2), layout="constrained")
    for row, (key, _, colour) in enumerate(ROWS):
        middle = statistics.median(stage[key])
        axes.barh(row, middle, color=colour, height=0.6)
        axes.plot(stage[key], [row] * len(stage[key]), "o", color="black", markersize=3, alpha=0.6)
        axes.annotate(f"{middle:.2f} s", (max(stage[key]), row), xytext=(6, -3), textcoords="offset points")
    axes.set_yticks(range(len(ROWS)), [label for _, label, _ in ROWS])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds, 20 emulated NVMe PFs x 125 VFs, fresh boots, TCG (medians; dots are single runs)")
    ratios = f"stock all / series {stage['stock_over_series']:.1f}   "
    ratios += f"stock used / series {stage['stock_used_over_series']:.1f}"
    axes.set_title(
        f"Until VMs can be restored.   {ratios}   series / floor {stage['series_over_floor']:.2f}",
        loc="left",
        fontsize=10,
    )
    figure.savefig(path)
    pyplot.close(figure)
