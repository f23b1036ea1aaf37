# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of managed hosts' oldest Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import oldest_python


def test_newer_grammar_is_named_by_any_python(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("match 1:\n    case 1:\n        pass\n")
    (tmp_path / "b.py").write_text("x: int = 1\n")
    (line,) = oldest_python.mistakes([tmp_path / "a.py", tmp_path / "b.py"])
    assert line.startswith(f"FAIL {tmp_path}/a.py:3: Pattern matching is only supported")


def test_a_keyword_that_came_later_is_named(tmp_path: Path) -> None:
    """Python finds it when the line runs, no sooner."""
    (tmp_path / "a.py").write_text("zip([], [])\nlist(zip([], [], strict=False))\nmax([], default=0)\n")
    assert list(oldest_python.mistakes([tmp_path / "a.py"])) == [f"FAIL {tmp_path}/a.py:2: zip has no strict there"]


def test_it_reads_what_hosts_get() -> None:
    names = {path.name for path in oldest_python.files()}
    assert {"sriov_pf.py", "converge.py", "cli.py"} <= names
    assert list(oldest_python.mistakes(oldest_python.files())) == []
    (cli,) = (path for path in oldest_python.files() if path.parts[-2:] == ("_sriovctl", "cli.py"))
    assert oldest_python.module(cli) == "ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl.cli"


def test_without_that_python_the_rest_is_skipped_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert oldest_python.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert "there is no Python 3.9 here" in said[0]
    assert said[-1] == "1 passed, 0 failed, 1 skipped"


@pytest.mark.parametrize(
    ("imports", "tests", "counts"),
    [
        (0, "12 passed in 3s", (13, 0)),
        (1, "12 passed in 3s", (12, 1)),
        (0, "2 failed, 10 passed, 1 error in 3s", (11, 3)),
        (0, "no tests ran", (1, 1)),
    ],
)
def test_imports_and_tests_count(
    imports: int, tests: str, counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(argv: list[str], **_more: object) -> subprocess.CompletedProcess[str]:
        if "-c" in argv:
            return subprocess.CompletedProcess(argv, imports)
        return subprocess.CompletedProcess(argv, int("failed" in tests or "no tests" in tests), tests)

    monkeypatch.setattr(subprocess, "run", run)
    assert oldest_python.tested(Path("python")) == counts
