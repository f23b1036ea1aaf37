"""What the shared fleet's scenarios must not take over from an earlier run."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import testbed


def test_molecule_remembers_nothing_of_hosts_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testbed, "REPOSITORY", tmp_path)
    first = testbed.notes("live_update")
    (first / "state.yml").write_text("prepared: true\n")
    assert testbed.notes("sriov") != first
    assert (first / "state.yml").exists()
    assert testbed.notes("live_update") == first
    assert not list(first.iterdir())
