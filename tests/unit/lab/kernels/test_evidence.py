"""The record of conformance results, case by case.

Any change of what decided a result makes it stale.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.kernels import evidence, flavour, many_vfs, patches, record
from lab.kernels.base import Base
from lab.progress import LabError

CASE = "from harness import case\n\n\n@case()\ndef case_{0}(pf):\n    pass\n"
FILES = {
    "series/6.12/0001.patch": "one",
    "series/6.12/0002.patch": "two",
    "series/6.12/series": "0001.patch\n0002.patch\n",
    "configs/a": "a",
    "configs/b": "b",
    "configs/drivers.config": "drivers",
    "configs/hypervisor-6.12.config": "hypervisor",
    "cases/run.py": "import many_vfs\n\n\ndef main():\n    return many_vfs\n",
    "cases/run_jumps.py": "def main(): ...\n",
    "cases/many_vfs.py": "VFS = 4096\n",
    "cases/cases_a.py": CASE.format("add"),
    "cases/cases_b.py": CASE.format("bind"),
    "cases/cases_m.py": "import many_vfs\n" + CASE.format("many").replace("@case()", "@case(vfs=many_vfs.VFS)"),
    "many_vfs/many_vfs.c": "int x;",
}  # fmt: skip
RELEASE = "6.12.1-x"
BASE = Base("6.12", "linux-source-6.12", "6.12.1", "6.12", ("hypervisor-6.12.config",))


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a series, configurations and cases.

    The series has two patches, and three files have cases.
    """
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")
    for module in (evidence, patches):
        monkeypatch.setattr(module, "SERIES", tmp_path / "series")
        monkeypatch.setattr(module, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(evidence, "CASES", tmp_path / "cases")
    monkeypatch.setattr(many_vfs, "SOURCES", tmp_path / "many_vfs")
    made = flavour.Flavour("stock", BASE, "", "-s", ("a",)), flavour.Flavour("debug", BASE, "6.12", "-d", ("a", "b"))
    monkeypatch.setattr(evidence, "BASES", {"6.12": BASE})
    monkeypatch.setattr(flavour, "FLAVOURS", {one.name: one for one in made})
    monkeypatch.setattr(flavour, "RECORDED", ("stock", "debug"))
    return tmp_path


def row(name: str, result: str = "pass", driver: str = "igb", reason: str = "") -> dict[str, str]:
    return {"name": name, "driver": driver, "result": result, "reason": reason or ("why" if result == "skip" else "")}


def rows() -> evidence.Rows:
    """Rows of a complete run.

    That of a case about the engine is not recorded.
    """
    few = [row(name, driver=driver) for name in ("add", "bind") for driver in evidence.PF_DRIVERS]
    few[0] = row("add", "skip", reason="needs 100 VFs")
    return [*few, row("many", driver="many_vfs"), row("plan_equals_kernel"), row("no_leaks")]


def record_all() -> None:
    for name in ("stock", "debug"):
        evidence.record(name, RELEASE, evidence.tested(name), rows())
    patches.keep("6.12.1", patches.digests(BASE), BASE)


def test_a_complete_run_is_evidence_until_something_changes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evidence.check() == 1
    assert "6.12 debug: 3 of 3 cases: no result: add, bind, many; run `make test-kernels" in capsys.readouterr().out
    record_all()
    assert evidence.check() == 0
    shown = capsys.readouterr().out
    assert f"6.12 debug: 4 passed, 1 skipped on {record.today()}; not run here" in shown
    assert f"6.12 each patch: 2 passed on {record.today()}; not run here, `make kernel-bisect` does" in shown
    assert "evidence: 3 passed, 0 failed" in shown
    (tree / "series/6.12/0001.patch").write_text("another")
    assert evidence.check() == 1
    shown = capsys.readouterr().out
    assert (
        "6.12 debug: 3 of 3 cases: changed since: series: add, bind, many; run `make test-kernels BASE=6.12 FLAV"
        in shown
    )
    assert "6.12 stock: 4 passed, 1 skipped" in shown
    assert "6.12 each patch: 2 of 2: changed since, from 0001.patch on; run `make kernel-bisect`" in shown
    assert "evidence: 1 passed, 2 failed" in shown


EVERY = ["add", "bind", "many"]


@pytest.mark.parametrize(
    ("file", "text", "stock", "debug", "unbuilt"),
    [
        ("configs/b", "c", [], EVERY, []),
        ("configs/a", "c", EVERY, EVERY, []),
        ("cases/cases_a.py", FILES["cases/cases_a.py"].replace("pass", "return"), ["add"], ["add"], []),
        ("cases/run.py", "def main(): ...\n", EVERY, EVERY, []),
        ("many_vfs/many_vfs.c", "int y;", ["many"], ["many"], []),
        ("series/6.12/series", "0002.patch\n0001.patch\n", [], EVERY, ["0002.patch", "0001.patch"]),
        ("series/6.12/0002.patch", "three", [], EVERY, ["0002.patch"]),
        ("configs/drivers.config", "more", [], [], ["0001.patch", "0002.patch"]),
    ],
)
def test_what_a_result_rests_on(
    tree: Path, file: str, text: str, stock: list[str], debug: list[str], unbuilt: list[str]
) -> None:
    record_all()
    (tree / file).write_text(text)
    assert [list(evidence.stale("stock")), list(evidence.stale("debug"))] == [stock, debug]
    assert patches.unbuilt(BASE) == unbuilt


def test_another_name_changes_nothing(tree: Path) -> None:
    record_all()
    (tree / "cases/cases_a.py").rename(tree / "cases/cases_c.py")
    (tree / "configs/b").rename(tree / "configs/c")
    flavour.FLAVOURS["debug"] = flavour.Flavour("debug", BASE, "6.12", "-d", ("a", "c"))
    assert not evidence.stale("debug")


def test_an_edit_during_the_run_makes_it_stale(tree: Path) -> None:
    before = evidence.tested("debug")
    (tree / "cases/cases_a.py").write_text(FILES["cases/cases_a.py"].replace("pass", "return"))
    evidence.record("debug", RELEASE, before, rows())
    assert evidence.stale("debug") == {"add": "changed since: case"}


def test_parts_of_a_run_add_up(tree: Path) -> None:
    """Results of an interrupted run, joined by those of another PF."""
    before = evidence.tested("debug")
    evidence.record("debug", RELEASE, before, [row("add"), row("no_leaks", "skip", reason="no kmemleak")])
    assert evidence.stale("debug") == {"add": "not run on nvme", "bind": "no result", "many": "no result"}
    evidence.record("debug", RELEASE, before, [row("add", driver="nvme")])
    assert list(evidence.stale("debug")) == ["bind", "many"]
    (tree / "cases/cases_a.py").write_text(FILES["cases/cases_a.py"].replace("pass", "return"))
    evidence.record("debug", RELEASE, evidence.tested("debug"), [row("add")])
    assert evidence.stale("debug")["add"] == "not run on nvme"


def test_a_result_of_another_release_counts_where_none_is_asked_for(tree: Path) -> None:
    record_all()
    assert not evidence.stale("debug")
    assert not evidence.stale("debug", RELEASE)
    assert evidence.stale("debug", "6.12.2-x") == dict.fromkeys(("add", "bind", "many"), f"result of {RELEASE}")


def test_only_what_has_failed_is_forgotten(tree: Path) -> None:
    record_all()
    with pytest.raises(LabError, match="debug: bind: no evidence"):
        evidence.record("debug", RELEASE, evidence.tested("debug"), [*rows()[:3], row("bind", "fail", "nvme", "EIO")])
    assert evidence.stale("debug") == {"bind": "no result"}
    assert not evidence.stale("stock")


@pytest.mark.parametrize("bad", [row("no_leaks", "fail", reason="x"), row("bind", "skip", "nvme") | {"reason": ""}])
def test_a_leak_and_a_skip_without_a_reason_are_no_evidence(tree: Path, bad: dict[str, str]) -> None:
    with pytest.raises(LabError, match="no evidence"):
        evidence.record("debug", RELEASE, evidence.tested("debug"), [*rows()[:3], bad])
    assert "bind" in evidence.stale("debug")
    assert ("add" in evidence.stale("debug")) == (bad["name"] == "no_leaks")


def test_a_kernel_on_which_all_is_skipped_is_none(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_all()
    evidence.record(
        "stock", RELEASE, evidence.tested("stock"), [one | {"result": "skip", "reason": "x"} for one in rows()]
    )
    assert evidence.check() == 1
    assert "6.12 stock: no case was passed, all were skipped; run `" in capsys.readouterr().out


def test_the_file_has_a_line_for_each_case_and_is_left_alone_by_what_it_knows(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_all()
    monkeypatch.setattr(evidence, "today", lambda: "2031-01-01")
    before = record.FILE.read_text()
    evidence.record("debug", RELEASE, evidence.tested("debug"), rows())
    assert record.FILE.read_text() == before
    lines = [line for line in before.splitlines() if '"bind"' in line]
    assert len(lines) == 2
    assert json.loads(lines[0].split(":", 1)[1].rstrip(",")).keys() == {"case", "day", "igb", "kernel", "nvme"}
    evidence.record("debug", "6.12.2-x", evidence.tested("debug"), rows())
    assert [known["release"] for known in record.load()["6.12"]["debug"]["kernels"].values()] == ["6.12.2-x"]
    assert record.load()["6.12"]["debug"]["cases"]["add"]["day"] == "2031-01-01"


def test_what_is_carried_over_counts_until_it_is_run_again(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record_all()
    with record.changed() as known:
        entry = known["6.12"]["debug"]
        for case in entry["cases"].values():
            case |= {driver: evidence.CARRIED for driver in case if driver in (*evidence.PF_DRIVERS, "many_vfs")}
        for kernel in entry["kernels"].values():
            kernel[evidence.CARRIED] = "carried over from an old run"
    assert evidence.check() == 0
    assert "evidence: 6.12 debug: 5 results carried over from an old run\n" in capsys.readouterr().out
    evidence.record("debug", RELEASE, evidence.tested("debug"), [row("bind"), row("bind", driver="nvme")])
    assert evidence.check() == 0
    assert "evidence: 6.12 debug: 3 results carried over from an old run\n" in capsys.readouterr().out
    (tree / "configs/b").write_text("other")
    assert evidence.check() == 1
