# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs of stages: any relevant edit makes another key."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools import inputs

FACTS = {"python": "3.11"}


def test_every_stage_of_make_test_is_known_or_runs_always() -> None:
    (line,) = (line for line in (inputs.ROOT / "Makefile").read_text().split("\n\n") if line.startswith("test:"))
    assert set(inputs.STAGES) <= set(re.findall(r"[\w-]+", line))


FAULTS = {"faults"}
ENGINE = FAULTS | {"python39"}
COLLECTION = {"sanity", "newer", "importer", "docs"}
# file, stages that need not run again when it alone was edited
RESTS = [
    ("plugins/module_utils/_model/vf_ids.py", {"yamllint", "changelog", "kernel-check"}),
    (
        "README.md",
        {"ruff", "mypy", "import-lint", "yamllint", "changelog", "kernel-check", "conformance", "molecule"} | ENGINE,
    ),
    (inputs.RECORD, set(inputs.STAGES)),
    (inputs.FAULTS_RECORD, set(inputs.STAGES) - {"faults"}),
    (inputs.MUTANTS_RECORD, set(inputs.STAGES) - {"mutants"}),
    (inputs.SANITY_RECORD, set(inputs.STAGES) - {"newer"}),
    (
        "tests/conformance/harness.py",
        {"yamllint", "changelog", "kernel-check", "ansible-lint", "molecule"} | COLLECTION | FAULTS,
    ),
    ("roles/kernel_build/files/series/6.12/series", {"ruff", "mypy", "import-lint", "yamllint", "changelog"} | ENGINE),
    ("kernel/configs/debug.config", {"ruff", "mypy", "import-lint", "yamllint", "changelog"} | ENGINE | COLLECTION),
    ("tools/stages.py", set()),
    ("requirements/dev.txt", set()),
]


@pytest.mark.parametrize(("file", "skipped"), RESTS)
def test_what_rests_on_a_file(file: str, skipped: set[str]) -> None:
    assert {stage for stage, rests in inputs.STAGES.items() if not rests.takes(file)} == skipped


def test_keys_follow_contents_and_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVMFLEET_CACHE", str(tmp_path))
    files = {"plugins/a.py": "1", "README.md": "1"}
    key = inputs.key("conformance", files, FACTS)
    assert inputs.key("conformance", files | {"README.md": "2"}, FACTS) == key
    assert inputs.key("conformance", files | {"plugins/a.py": "2"}, FACTS) != key
    assert inputs.key("conformance", files | {"plugins/b.py": "1"}, FACTS) != key
    assert inputs.key("conformance", files, {"python": "3.12"}) != key
    assert inputs.key("molecule", files, FACTS) != key
    (tmp_path / "rootfs/another").mkdir(parents=True)
    assert inputs.key("conformance", files, FACTS) != key


def test_files_as_they_are(tmp_path: Path) -> None:
    """Digests of tracked and new files that are not ignored.

    Contents, mode and links count, and a file that is gone is none.
    """
    for name in ("kept", "gone", "program"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("ignored\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    (tmp_path / "gone").unlink()
    (tmp_path / "ignored").write_text("x")
    (tmp_path / "new").symlink_to("kept")
    before = inputs.digests(tmp_path)
    assert sorted(before) == [".gitignore", "kept", "new", "program"]
    assert before["new"] == "link kept"
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "kept").write_text("other")
    after = inputs.digests(tmp_path)
    assert [name for name in before if before[name] != after[name]] == ["kept", "program"]


def test_settings_for_the_tests_are_facts() -> None:
    known = inputs.facts({"KVMFLEET_ACCEL": "tcg", "KVMFLEET_FRESH": "1", "HOME": "/root"})
    assert known["environment"] == {"KVMFLEET_ACCEL": "tcg"}
    assert any("pytest-" in str(name) for name in known["packages"])  # type: ignore[attr-defined]  # a list of names


def test_unpacked_boot_loaders_are_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them tests are skipped, and dpkg does not know of them."""
    monkeypatch.setenv("KVMFLEET_CACHE", str(tmp_path))
    assert inputs.facts()["boot_loaders"] == ""
    (tmp_path / "boot_loaders").mkdir()
    (tmp_path / "boot_loaders/packages").write_text("shim-signed_1_amd64.deb\n")
    assert inputs.facts()["boot_loaders"] == "shim-signed_1_amd64.deb\n"
