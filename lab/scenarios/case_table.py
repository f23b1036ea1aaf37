"""The table of conformance cases and kernels, and its sum."""

from __future__ import annotations

import json
from pathlib import Path

from ..kernels.evidence import Rows
from ..progress import say

MARKS = {"pass": "pass", "fail": "FAIL", "skip": "skip"}


def report(found: dict[str, Rows], releases: dict[str, str], folder: Path) -> int:
    """Write the table into ``folder`` and print it, then the failures.

    1 if any case failed, or was skipped without a reason, or none passed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.json").write_text(json.dumps({"kernels": releases, "rows": found}, indent=2) + "\n")
    (folder / "table.md").write_text(markdown(found, releases))
    print(markdown(found, releases))
    every = [row for rows in found.values() for row in rows]
    for row in every:
        if row["result"] == "fail":
            print(f"FAIL {row['kernel']} {row['name']}: {row['reason']}")
    passed, failed, skipped = (sum(row["result"] == word for row in every) for word in ("pass", "fail", "skip"))
    unexplained = [row["name"] for row in every if row["result"] == "skip" and not row["reason"]]
    if unexplained:
        say(f"skipped without a reason: {', '.join(unexplained)}")
    print(f"conformance: {passed} passed, {failed + len(unexplained)} failed, {skipped} skipped", flush=True)
    return 1 if failed or unexplained or not passed else 0


def markdown(found: dict[str, Rows], releases: dict[str, str]) -> str:
    """Markdown table of cases and kernels.

    With a row per case and PF driver, and a column per kernel. Reasons of skipped cases stand below.
    """
    cells = {(row["name"], row["driver"], kernel): row for kernel, rows in found.items() for row in rows}
    lines = ["| case | PF driver | " + " | ".join(f"{name} ({releases[name]})" for name in found) + " |"]
    lines.append("|---" * (len(found) + 2) + "|")
    reasons: dict[str, None] = {}
    for name, driver in sorted({(name, driver) for name, driver, _ in cells}):
        row = [cells.get((name, driver, kernel)) for kernel in found]
        lines.append(
            f"| {name} | {driver} | " + " | ".join(MARKS[cell["result"]] if cell else "-" for cell in row) + " |"
        )
        skipped = [cell for cell in row if cell and cell["result"] == "skip"]
        reasons |= {f"{cell['kernel']}, {name}, {driver}: {cell['reason']}": None for cell in skipped}
    return "\n".join([*lines, "", "Skipped:", "", *(f"- {reason}" for reason in reasons), ""])
