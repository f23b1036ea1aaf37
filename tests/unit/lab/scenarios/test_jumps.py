"""The order of questions and jumps; the rows of a lost host."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.machine import host
from lab.machine.host import Running
from lab.progress import LabError
from lab.scenarios import jumps, kexec

HOPS = [
    {"words": "pci=k", "jump": "one", "cases": ["a", "b"]},
    {"words": "", "jump": "", "cases": []},
]


def row(name: str, result: str, pf: str = "1") -> dict[str, Any]:
    return {"name": name, "pf": pf, "result": result}


@pytest.fixture
def sent() -> list[bytes]:
    """Contents written to files of the host."""
    return []


@pytest.fixture
def entry(tmp_path: Path, sent: list[bytes]) -> Running:
    """A host whose console has shown something before."""
    log = tmp_path / "console.log"
    log.write_text("before\n")
    ssh = SimpleNamespace(run=lambda _command, data: sent.append(data))
    return cast("Running", SimpleNamespace(host=SimpleNamespace(name="series"), log=log, ssh=ssh))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps in order; the rows of each name it."""
    steps: list[str] = []

    def ask(_entry: object, step: str, words: str) -> dict[str, Any]:
        steps.append(f"{step} {words}")
        return {"hops": HOPS, "rows": [row(steps[-1], "pass")]}

    monkeypatch.setattr(jumps, "ask", ask)

    def jump(entry: Running, _engine: str, words: str) -> None:
        steps.append(f"jump {words}")
        entry.log.write_text(entry.log.read_text() + f"jump {words}\n")

    monkeypatch.setattr(kexec, "jump", jump)
    monkeypatch.setattr(host, "stop", lambda _entry: steps.append("stop"))
    return steps


def test_each_kexec_is_between_its_halves(done: list[str], entry: Running, sent: list[bytes]) -> None:
    assert jumps.run_on(entry, "--only x") == [row("after 1", "pass")]
    assert done == ["plan --only x", "before 0", "jump pci=k", "after 0", "before 1", "jump ", "after 1"]
    assert sent == [b"jump pci=k\n", b"jump \n"]


def test_a_host_that_is_lost_is_stopped_and_its_last_rows_count(
    done: list[str],
    entry: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(_entry: object, _engine: str, words: str) -> None:
        done.append(f"jump {words}")
        if not words:
            raise LabError("it did not jump")

    monkeypatch.setattr(kexec, "jump", lost)
    assert jumps.run_on(entry, "") == [row("after 0", "pass")]
    assert done[-2:] == ["jump ", "stop"]


def test_a_wrong_answer_is_reported_with_the_programs_output() -> None:
    asked: list[str] = []
    ssh = SimpleNamespace(unattended=asked.append, run=lambda _command: "Traceback: x")
    hardware = SimpleNamespace(name="series", flavour="series", pfs=[SimpleNamespace(address="0:1")])
    entry = cast("Running", SimpleNamespace(ssh=ssh, host=hardware))
    with pytest.raises(LabError, match="after 3 failed: Traceback: x"):
        jumps.ask(entry, "after", "3")
    assert "run_jumps.py --pf 0:1 --kernel series after 3 " in asked[0]


def test_a_later_row_takes_the_place_of_a_skip() -> None:
    rows = [row("a", "skip"), row("a", "skip", "2"), row("b", "pass")]
    assert jumps.merged(rows, [row("c", "pass"), row("a", "pass")]) == [
        row("a", "pass"),
        row("a", "skip", "2"),
        row("b", "pass"),
        row("c", "pass"),
    ]
