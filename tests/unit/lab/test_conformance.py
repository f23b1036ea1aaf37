"""The table of cases x kernels."""

from __future__ import annotations

from typing import Any

from lab.conformance import table


def row(name: str, kernel: str, result: str, reason: str = "", driver: str = "igb") -> dict[str, Any]:
    return {"name": name, "kernel": kernel, "result": result, "reason": reason, "driver": driver}


def test_every_case_and_kernel_has_a_cell() -> None:
    found = {
        "series": [row("add", "series", "pass"), row("add", "series", "fail", "EIO", "nvme")],
        "stock": [row("add", "stock", "skip", "no such file")],
    }
    lines = table(found, {"series": "6.12-x", "stock": "6.12"}).splitlines()
    assert lines[0] == "| case | PF driver | series (6.12-x) | stock (6.12) |"
    assert lines[2:4] == ["| add | igb | pass | skip |", "| add | nvme | FAIL | - |"]
    assert lines[-1] == "- stock, add, igb: no such file"
