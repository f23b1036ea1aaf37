"""What the shared fleet's scenarios must not take over from an earlier run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.fleet import operations, testbed
from lab.kernels import packages


def test_molecule_remembers_nothing_of_hosts_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "REPOSITORY", tmp_path)
    first = testbed.notes("live_update")
    (first / "state.yml").write_text("prepared: true\n")
    assert testbed.notes("sriov") != first
    assert (first / "state.yml").exists()
    assert testbed.notes("live_update") == first
    assert not list(first.iterdir())


def test_each_scenario_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def run(argv: list[str], *, env: dict[str, str], **_more: object) -> SimpleNamespace:
        seen[argv[-1]] = env["MOLECULE_EPHEMERAL_DIRECTORY"]
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(testbed, "REPOSITORY", tmp_path)
    monkeypatch.setattr(testbed, "ready", list)
    monkeypatch.setattr(packages, "built", lambda _flavour: SimpleNamespace(release="6.12.0-x"))
    monkeypatch.setattr(operations, "down", lambda _fleet: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert testbed.molecule(["a", "b"], keep=False) == 0
    assert seen == {name: str(tmp_path / "build/molecule/notes" / name) for name in ("a", "b")}
