"""The table of cases x kernels."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.fleet import operations, testbed
from lab.kernels import evidence, many_vfs, packages, record
from lab.kernels.flavour import RECORDED, STANDARD
from lab.progress import LabError
from lab.scenarios import conformance, jumps
from lab.scenarios.case_table import markdown


def row(name: str, kernel: str, result: str, reason: str = "", driver: str = "igb") -> dict[str, Any]:
    return {"name": name, "kernel": kernel, "result": result, "reason": reason, "driver": driver}


def test_every_case_and_kernel_has_a_cell() -> None:
    found = {
        "series": [row("add", "series", "pass"), row("add", "series", "fail", "EIO", "nvme")],
        "stock": [row("add", "stock", "skip", "no such file")],
    }
    lines = markdown(found, {"series": "6.12-x", "stock": "6.12"}).splitlines()
    assert lines[0] == "| case | PF driver | series (6.12-x) | stock (6.12) |"
    assert lines[2:4] == ["| add | igb | pass | skip |", "| add | nvme | FAIL | - |"]
    assert lines[-1] == "- stock, add, igb: no such file"


def test_a_run_that_broke_off_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rows of run.py after a kernel's failure.

    The rows of the jumps must not hide that.
    """

    def answer(command: str, **_more: object) -> str:
        if command.startswith("cat ") and "rows.json" in command and "||" not in command:
            raise LabError("cat: rows.json: No such file or directory")
        return "[]"

    ssh = SimpleNamespace(run=answer, put=lambda *_: None, unattended=lambda _: None)
    entry: Any = SimpleNamespace(host=SimpleNamespace(name="series", flavour="series", pfs=[]), ssh=ssh, pid=lambda: 1)
    monkeypatch.setattr(conformance, "FOLDER", tmp_path)
    monkeypatch.setattr(jumps, "run_on", lambda *_: [{"name": "a", "pf": "b", "result": "pass"}])
    with pytest.raises(LabError, match=r"rows\.json"):
        conformance.run_on(entry, conformance.selection([]), tmp_path / "many_vfs.ko", lambda _rows: None)


def test_a_second_host_of_a_flavour_takes_the_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [
        SimpleNamespace(host=SimpleNamespace(name=name, flavour=flavour))
        for name, flavour in (("stock", "stock"), ("series", "series"), ("jumps", "series"), ("live", "live"))
    ]
    ran: dict[str, conformance.Work] = {}

    def run_on(entry: SimpleNamespace, work: conformance.Work, _module: Path, _keep: object) -> list[dict[str, Any]]:
        ran[entry.host.name] = work
        after = [{"name": "kept", "pf": 1, "result": "pass"}] if work.jumps is not None else []
        skipped = [{"name": name, "pf": 1, "result": "skip"} for name in ("add", "kept")] if work.runs else []
        return jumps.merged(skipped, after)

    monkeypatch.setattr(conformance, "run_on", run_on)
    monkeypatch.setattr(testbed, "ready", lambda *_: hosts)
    monkeypatch.setattr(many_vfs, "build", lambda _flavour: Path())
    work = conformance.selection([])
    rows = dict(conformance.rows_of("kernels", {"stock": work, "series": work}, lambda *_: None))
    assert ran == {"stock": work, "series": conformance.Work([[]], None), "jumps": conformance.Work([], [])}
    assert [row["result"] for row in rows["series"]] == ["skip", "pass"]
    assert rows["stock"] == rows["series"]


def test_hosts_work_in_the_order_of_the_fleet_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["longest", "long", "short", "shortest"]
    hosts = [SimpleNamespace(host=SimpleNamespace(name=name, flavour=name)) for name in names]
    begun: list[str] = []
    at_work: list[int] = [0]
    both_work = threading.Barrier(2, timeout=10)

    def run_on(entry: SimpleNamespace, *_more: object) -> list[dict[str, Any]]:
        begun.append(entry.host.name)
        at_work.append(at_work[-1] + 1)
        both_work.wait()
        at_work.append(at_work[-1] - 1)
        return [row("add", entry.host.flavour, "pass")]

    monkeypatch.setattr(conformance, "AT_WORK", 2)
    monkeypatch.setattr(conformance, "run_on", run_on)
    monkeypatch.setattr(testbed, "ready", lambda *_: hosts)
    monkeypatch.setattr(many_vfs, "build", lambda _flavour: Path())
    works = dict.fromkeys(names, conformance.selection([]))
    assert [name for name, _rows in conformance.rows_of("kernels", works, lambda *_: None)] == names
    assert (sorted(begun[:2]), max(at_work)) == (["long", "longest"], 2)


class FakeHosts:
    """A stand-in for hosts: work by flavour, and its rows.

    The rows come in two parts.
    """

    def __init__(self, parts: dict[str, list[list[dict[str, Any]]]]) -> None:
        self.parts = parts
        self.works: dict[str, conformance.Work] = {}

    def rows_of(self, _fleet: str, works: dict[str, conformance.Work], keep: Any) -> Any:  # noqa: ANN401 - as `rows_of`
        self.works = works
        for name in works:
            for rows in self.parts[name]:
                keep(name, rows)
            yield name, [row for rows in self.parts[name] for row in rows]


def both(name: str, result: str = "pass", reason: str = "") -> list[dict[str, Any]]:
    return [row(name, "x", result, reason, driver) for driver in evidence.PF_DRIVERS]


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHosts:
    fake = FakeHosts({name: [both("scan_adds_one_id"), both("list_forms")] for name in RECORDED})
    monkeypatch.setattr(conformance, "FOLDER", tmp_path)
    monkeypatch.setattr(record, "FILE", tmp_path / "EVIDENCE.json")
    monkeypatch.setattr(conformance, "rows_of", fake.rows_of)
    monkeypatch.setattr(operations, "build", lambda **_: None)
    monkeypatch.setattr(packages, "built", lambda name: SimpleNamespace(release=f"6.12-{name}"))
    return fake


def test_each_part_is_kept_and_a_failure_is_not(hosts: FakeHosts, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure costs only its own record, and the exit status."""
    hosts.parts["debug"][1] = both("list_forms", "fail", "EIO")
    assert conformance.test_kernels("6.12", [], [], False) == 1
    assert "debug: list_forms: no evidence" in capsys.readouterr().err
    known = record.load()["6.12"]
    assert {name: sorted(known[name]["cases"]) for name in known} == {
        "debug": ["scan_adds_one_id"],
        "series": ["list_forms", "scan_adds_one_id"],
        "stock": ["list_forms", "scan_adds_one_id"],
    }


def test_only_what_is_not_on_record_is_run(hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert conformance.test_kernels("6.12", ["series", "debug"], [], False) == 0
    assert conformance.test_kernels("6.12", ["series"], [], False) == 0
    assert list(hosts.works) == ["series"]
    asked = [word for words in hosts.works["series"].runs for word in words]
    assert "=scan_removes_one_id" not in asked
    assert "=scan_adds_one_id" not in asked
    assert "=scan_adds_a_list" in asked
    names = {"scan_adds_a_list": "changed"}
    monkeypatch.setattr(evidence, "stale", lambda flavour: names if flavour == "debug" else {})
    assert conformance.test_kernels("6.12", [], [], False) == 0
    assert hosts.works == {"debug": conformance.Work([["=scan_adds_a_list", "=no_leaks"]], None)}
    assert conformance.test_kernels("6.12", ["stock"], [], True) == 0
    assert hosts.works == {"stock": conformance.Work([[]], [])}


def test_nothing_to_run_boots_nothing(hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "stale", lambda *_: {})
    assert conformance.test_kernels("6.12", [], [], False) == 0
    assert hosts.works == {}


def test_cases_in_runs_that_end_with_the_check_for_leaks() -> None:
    work = conformance.exactly(evidence.cases())
    assert all(len(words) <= conformance.BATCH + 1 and words[-1] == "=no_leaks" for words in work.runs)
    asked = [word for words in work.runs for word in words[:-1]] + (work.jumps or [])
    assert sorted(asked) == sorted(f"={name}" for name in evidence.cases())
    assert "=kexec_keeps_vfs" in (work.jumps or [])


def test_make_conformance_counts_as_evidence(hosts: FakeHosts) -> None:
    """Results of `make conformance` are evidence too.

    They are of the same cases on the same kernels; each case by itself, so some are enough.
    """
    assert conformance.conformance(["scan"], False) == 0
    assert hosts.works == dict.fromkeys(STANDARD, conformance.Work([["scan", "=no_leaks"]], ["scan", "=no_leaks"]))
    assert sorted(record.load()["6.12"]) == ["series", "stock"]


def asked(work: conformance.Work) -> list[str]:
    return [word.removeprefix("=") for words in [*work.runs, work.jumps or []] for word in words]


def test_a_test_run_repeats_a_sample_of_what_is_on_record(
    hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evidence, "stale", lambda _flavour, _release=None: {})
    assert conformance.conformance([], False) == 0
    engine = evidence.engine_cases()
    for flavour in STANDARD:
        work = hosts.works[flavour]
        assert sorted(asked(work)) == sorted([*engine, *conformance.SAMPLE, evidence.LEAKS])
        assert work.jumps == [f"={name}" for name in ("kept_vfs_are_adopted_by_no_scan", "kexec_keeps_vfs")]
    said = capsys.readouterr().err
    part = f"{len(conformance.SAMPLE)} of {len(evidence.cases())}"
    assert f"{len(engine)} cases about the engine, and {part} about the kernel: 0 have no valid result" in said


def test_a_case_without_a_valid_result_is_run(hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"selftest": "no result", "kexec_keeps_again": "changed since: case"}
    monkeypatch.setattr(evidence, "stale", lambda flavour, _release: names if flavour == "series" else {})
    assert conformance.conformance([], False) == 0
    assert set(names) & set(asked(hosts.works["stock"])) == set()
    assert set(names) <= set(asked(hosts.works["series"]))
    assert "=kexec_keeps_again" in (hosts.works["series"].jumps or [])


def test_a_result_of_another_release_is_not_of_this_kernel(
    hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debian's archive moves, and the series still fits."""
    assert conformance.test_kernels("6.12", ["stock"], [], False) == 0
    assert conformance.conformance([], False) == 0
    assert "scan_adds_one_id" not in asked(hosts.works["stock"])
    monkeypatch.setattr(packages, "built", lambda name: SimpleNamespace(release=f"6.12.9-{name}"))
    assert conformance.conformance([], False) == 0
    assert "scan_adds_one_id" in asked(hosts.works["stock"])


def test_a_fresh_run_runs_every_case(hosts: FakeHosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "stale", lambda _flavour, _release=None: {})
    assert conformance.conformance([], True) == 0
    assert hosts.works == dict.fromkeys(STANDARD, conformance.Work([[]], []))


def test_the_sample_has_a_case_of_each_file() -> None:
    """One about kept VFs is enough; no long one."""
    every = evidence.cases()
    assert set(conformance.SAMPLE) <= set(every)
    there = {one.file for one in every.values()} - {every[name].file for name in conformance.SAMPLE}
    assert there == {"cases_adopted", "cases_doubts", "cases_faults", "cases_selftest"}


def test_cases_about_the_engine_are_those_of_its_folder() -> None:
    engine = evidence.engine_cases()
    assert "many_by_the_engine" in engine
    assert set(engine).isdisjoint(evidence.cases())
    assert (
        len(engine)
        == len(set(engine))
        == sum(path.read_text().count("\n@case(") for path in (evidence.CASES / "engine").glob("cases_*.py"))
    )


@pytest.mark.parametrize(
    ("base", "flavour", "words"),
    [
        ("6.12", "kasan", "no flavour 'kasan' of base 6.12; there are: stock, series, debug"),
        ("5.4", "debug", r"no kernel base '5\.4' in .*; there are: 6\.12"),
    ],
)
def test_a_flavour_or_base_that_is_not_there_is_named(base: str, flavour: str, words: str) -> None:
    with pytest.raises(LabError, match=words):
        conformance.test_kernels(base, [flavour], [], False)
