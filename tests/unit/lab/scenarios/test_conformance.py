"""The table of cases x kernels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.kernels import evidence, packages
from lab.progress import LabError
from lab.scenarios import conformance, jumps
from lab.scenarios.conformance import table


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


def test_what_is_complete_is_kept_and_a_failure_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One flavour that failed does not take the record from those that passed, and is told by the exit status."""
    rows = {"debug": [row("add", "debug", "fail", "EIO")], "series": [row("add", "series", "pass")]}
    monkeypatch.setattr(conformance, "FOLDER", tmp_path)
    monkeypatch.setattr(evidence, "FILE", tmp_path / "EVIDENCE.json")
    monkeypatch.setattr(conformance, "rows_of", lambda *_: iter(rows.items()))
    monkeypatch.setattr(packages, "built", lambda name: SimpleNamespace(release=f"6.12-{name}"))
    assert conformance.conformance([], conformance.KERNELS) == 1
    assert list(evidence.load()) == ["series"]
    assert "is no evidence" in capsys.readouterr().err
    del rows["debug"]
    assert conformance.conformance([], conformance.KERNELS) == 0


@pytest.mark.parametrize(("only", "fleet"), [(["add"], conformance.KERNELS), ([], "test")])
def test_less_than_a_complete_run_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: list[str], fleet: str
) -> None:
    monkeypatch.setattr(conformance, "FOLDER", tmp_path)
    monkeypatch.setattr(evidence, "FILE", tmp_path / "EVIDENCE.json")
    monkeypatch.setattr(conformance, "rows_of", lambda *_: iter([("series", [row("add", "series", "pass")])]))
    monkeypatch.setattr(packages, "built", lambda name: SimpleNamespace(release=f"6.12-{name}"))
    assert conformance.conformance(only, fleet) == 0
    assert not evidence.load()


def test_a_flavour_without_a_host_is_named() -> None:
    with pytest.raises(LabError, match="no flavour 'kasan' in fleet kernels; it has: debug, series, stock"):
        conformance.conformance([], conformance.KERNELS, ["kasan"])
