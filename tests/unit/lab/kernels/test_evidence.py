"""The record of what was run: only complete runs are kept, and any change of what they tested makes them stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.kernels import evidence, flavour
from lab.kernels.base import Base
from lab.progress import LabError

GOOD = [{"result": "pass", "reason": ""}, {"result": "skip", "reason": "needs 100 VFs"}]

NAMES = ("stock", "debug", evidence.EACH_PATCH)


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a series, configurations and one file of cases."""
    for name in (
        "series/6.12/0001.patch",
        "series/6.12/series",
        "configs/a",
        "configs/b",
        "cases/cases_a.py",
        "configs/drivers.config",
        "configs/hypervisor-6.12.config",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(evidence, "FILE", tmp_path / "EVIDENCE.json")
    monkeypatch.setattr(evidence, "KERNEL", tmp_path)
    monkeypatch.setattr(evidence, "SERIES", tmp_path / "series")
    monkeypatch.setattr(evidence, "CASES", tmp_path / "cases")
    monkeypatch.setattr(evidence, "CONFIGS", tmp_path / "configs")
    base = Base("6.12", "linux-source-6.12", "6.12.1", "6.12", ("hypervisor-6.12.config",))
    made = flavour.Flavour("stock", base, "", "-s", ("a",)), flavour.Flavour("debug", base, "6.12", "-d", ("a", "b"))
    monkeypatch.setattr(evidence, "DEFAULT", base)
    monkeypatch.setattr(flavour, "FLAVOURS", {one.name: one for one in made})
    monkeypatch.setattr(flavour, "RECORDED", ("stock", "debug"))
    return tmp_path


def test_a_complete_run_is_evidence_until_something_changes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evidence.check() == 1
    for name in NAMES:
        evidence.record(name, "6.12.1-x", evidence.parts(name), GOOD)
    assert evidence.check() == 0
    assert json.loads((tree / "EVIDENCE.json").read_text())["debug"]["pass"] == 1
    capsys.readouterr()
    (tree / "series/6.12/0001.patch").write_text("another")
    assert evidence.check() == 1
    said = capsys.readouterr().out
    assert "debug: changed since: series; run `make test-kernels`" in said
    assert "stock: 1 passed, 1 skipped" in said
    assert "evidence: 1 passed, 2 failed" in said


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("configs/b", ["debug"]),
        ("configs/a", ["stock", "debug"]),
        ("cases/cases_a.py", ["stock", "debug"]),
        ("series/6.12/series", ["debug", evidence.EACH_PATCH]),
        ("configs/drivers.config", [evidence.EACH_PATCH]),
    ],
)
def test_what_a_flavour_rests_on(tree: Path, capsys: pytest.CaptureFixture[str], file: str, stale: list[str]) -> None:
    for name in NAMES:
        evidence.record(name, "6.12.1-x", evidence.parts(name), GOOD)
    (tree / file).write_text("another")
    assert evidence.check() == 1
    said = capsys.readouterr().out
    assert [name for name in NAMES if f"{name}: changed" in said] == stale


def test_an_edit_during_the_run_makes_it_stale(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tested = evidence.parts("debug")
    (tree / "cases/cases_a.py").write_text("edited meanwhile")
    evidence.record("debug", "6.12.1-x", tested, GOOD)
    assert evidence.check() == 1
    assert "debug: changed since: cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"result": "skip", "reason": "x"}],
        [*GOOD, {"result": "fail", "reason": "x"}],
        [*GOOD, {"result": "skip", "reason": ""}],
    ],
)
def test_anything_less_is_none(tree: Path, rows: list[dict[str, str]]) -> None:
    with pytest.raises(LabError, match="is no evidence"):
        evidence.record("debug", "6.12.1-x", evidence.parts("debug"), rows)
    assert not (tree / "EVIDENCE.json").exists()
