"""The series' selftest, without a kernel's source."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kernels import selftest, series


def test_the_tree_has_the_script_and_its_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helpers = tmp_path / selftest.HELPERS
    helpers.parent.mkdir(parents=True)
    helpers.write_text("# helpers\n")
    monkeypatch.setattr(series, "tree", lambda: tmp_path)
    with selftest.tree() as folder:
        script = (folder / "pci_iov" / "vfs_on_demand.sh").read_text()
        assert script.startswith("#!/bin/bash\n")
        assert "/../kselftest/ktap_helpers.sh" in script
        assert (folder / "kselftest" / "ktap_helpers.sh").read_text() == "# helpers\n"
