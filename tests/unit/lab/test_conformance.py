"""The table of cases x kernels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab import conformance, jumps
from lab.conformance import table
from lab.progress import LabError


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


def test_a_run_that_broke_off_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that kills run.py leaves no rows; those of the jumps must not hide that."""

    def answer(command: str, **_more: object) -> str:
        if command.startswith("cat ") and "rows.json" in command and "||" not in command:
            raise LabError("cat: rows.json: No such file or directory")
        return "[]"

    ssh = SimpleNamespace(run=answer, put=lambda *_: None, unattended=lambda _: None)
    entry: Any = SimpleNamespace(host=SimpleNamespace(name="series", pfs=[]), ssh=ssh, pid=lambda: 1)
    monkeypatch.setattr(conformance, "FOLDER", tmp_path)
    monkeypatch.setattr(jumps, "run_on", lambda *_: [{"name": "a", "pf": "b", "result": "pass"}])
    with pytest.raises(LabError, match=r"rows\.json"):
        conformance.run_on(entry, [], tmp_path / "many_vfs.ko")
