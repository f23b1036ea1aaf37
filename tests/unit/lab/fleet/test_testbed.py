"""Leftovers that scenarios must not take over from earlier runs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from lab.fleet import operations, testbed
from lab.kernels import packages
from lab.paths import HERE


def test_molecule_remembers_nothing_of_hosts_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "REPOSITORY", tmp_path)
    first = testbed.notes("live_update")
    (first / "state.yml").write_text("prepared: true\n")
    assert testbed.notes("sriov") != first
    assert (first / "state.yml").exists()
    assert testbed.notes("live_update") == first
    assert not list(first.iterdir())


@pytest.fixture
def molecule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Scenarios a and b pass, c fails; folders of notes by scenario."""
    seen: dict[str, str] = {}

    def run(argv: list[str], *, env: dict[str, str], stdout: BinaryIO, **_more: object) -> SimpleNamespace:
        seen[argv[-1]] = env["MOLECULE_EPHEMERAL_DIRECTORY"]
        stdout.write(f"ran {argv[-1]}\n".encode())
        return SimpleNamespace(returncode=argv[-1] == "c")

    for name in "abc":
        (tmp_path / "molecule" / name).mkdir(parents=True)
        (tmp_path / "molecule" / name / "converge.yml").write_text(f"[{{hosts: {name}}}]")
    monkeypatch.setattr(testbed, "REPOSITORY", tmp_path)
    monkeypatch.setattr(testbed, "SCENARIOS", tmp_path / "molecule")
    monkeypatch.setattr(testbed, "LOGS", tmp_path / "build" / "molecule")
    monkeypatch.setattr(testbed, "ready", list)
    monkeypatch.setattr(packages, "built", lambda _flavour: SimpleNamespace(folder=Path("/kernels/series")))
    monkeypatch.setattr(operations, "down", lambda _fleet: None)
    monkeypatch.setattr(subprocess, "run", run)
    return seen


def test_each_scenario_has_its_own(molecule: dict[str, str], tmp_path: Path) -> None:
    assert testbed.molecule(["a", "b"], keep=False) == 0
    assert molecule == {name: str(tmp_path / "build/molecule/notes" / name) for name in ("a", "b")}


def test_a_scenario_that_fails_shows_the_end_of_its_log(
    molecule: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert testbed.molecule(["a", "c"], keep=False) == 1
    shown = capsys.readouterr()
    assert "ran c" in shown.err
    assert "ran a" not in shown.err
    assert shown.out == "molecule: 1 passed, 1 failed\n"
    assert sorted(molecule) == ["a", "c"]


def test_scenarios_that_share_a_host_are_in_one_lane() -> None:
    hosts = {name: frozenset(hosts.split()) for name, hosts in (("a", "1 2"), ("b", "3"), ("c", "4"), ("d", "3 4"))}
    assert testbed.lanes(hosts) == [["a"], ["b", "c", "d"]]
    assert testbed.lanes({"a": frozenset("1"), "b": frozenset("1")}) == [["a", "b"]]


def test_the_hosts_of_the_scenarios() -> None:
    names = [path.parent.name for path in testbed.SCENARIOS.glob("*/verify.yml")]
    assert {name: testbed.hosts_of(name) for name in names} == {
        "boot": {"series"},
        "libvirt": {"hv1"},
        "live_update": {"live"},
        "sriov": {"series", "stock"},
    }


def test_hosts_of_molecule_keep_bytecode(molecule: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, bytes]] = []
    ssh = SimpleNamespace(
        put=lambda source, target: done.append((target, source.read_bytes())),
        run=lambda command, data: done.append((command, data)),
    )
    monkeypatch.setattr(testbed, "ready", lambda: [SimpleNamespace(ssh=ssh)])
    assert testbed.molecule(["a"], keep=False) == 0
    (file, text), (command, setting) = done
    assert (Path(file).name, text) == ("sitecustomize.py", (HERE / "bytecode/sitecustomize.py").read_bytes())
    assert setting == f"SetEnv PYTHONPATH={Path(file).parent} KVMFLEET_BYTECODE={Path(file).parent}/kept\n".encode()
    assert command.endswith("systemctl reload ssh")
