# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The choice of unit tests after a change.

Tests that reach it are run, and those that may read any file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import inputs, proofs, stages, unit_tests
from tools.import_graph import Graph
from tools.unit_tests import Change

ENGINE = "plugins/module_utils"
DOTTED = ENGINE.replace("/", ".")
FILES = {
    f"{ENGINE}/_model/low.py": "",
    f"{ENGINE}/_plan/high.py": "from .._model import low\n",
    f"{ENGINE}/_plan/other.py": "",
    "tests/fake/host.py": f"from ansible_collections.kvmfleet.sriov.{DOTTED}._plan import high\n",
    "tests/unit/test_low.py": f"from ansible_collections.kvmfleet.sriov.{DOTTED}._model import low\n",
    "tests/unit/test_host.py": "from tests.fake.host import high\n",
    "tests/unit/test_other.py": f"from ansible_collections.kvmfleet.sriov.{DOTTED}._plan import other\n",
    "tests/unit/test_docs.py": "from pathlib import Path\nTEXT = Path(__file__).parents[2] / 'docs'\n",
}


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Graph(tmp_path, FILES)


@pytest.mark.parametrize(
    ("changed", "reached"),
    [
        (f"{ENGINE}/_model/low.py", ["host", "low"]),
        (f"{ENGINE}/_plan/high.py", ["host"]),
        (f"{ENGINE}/_plan/other.py", ["other"]),
        ("tests/fake/host.py", ["host"]),
        ("tests/unit/test_low.py", ["low"]),
        ("docs/page.md", []),
    ],
)
def test_a_change_reaches_what_imports_it(graph: Graph, changed: str, reached: list[str]) -> None:
    found = unit_tests.select(graph, {changed})
    assert sorted(found.reached) == [f"tests/unit/test_{name}.py" for name in reached]
    assert found.open_ended == ["tests/unit/test_docs.py"]


def test_the_nearest_come_first(graph: Graph) -> None:
    found = unit_tests.select(graph, {f"{ENGINE}/_model/low.py"})
    assert found.reached == ["tests/unit/test_low.py", "tests/unit/test_host.py"]


def test_no_test_starts_after_the_time(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[2] / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text("def test_one(): pass\n")
    for until, ending in ((time.monotonic() + 100, "1 passed"), (time.monotonic(), "1 skipped")):
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        setting = os.environ | {unit_tests.UNTIL: str(until)}
        done = subprocess.run(words, cwd=tmp_path, env=setting, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1].startswith(ending), done.stdout


def test_what_starts_qemu_is_not_in_the_inner_loop() -> None:
    starting = [
        path for path in Path(__file__).parents[1].rglob("test_*.py") if "fake.vm.real import" in path.read_text()
    ]
    assert len(starting) > 5
    assert [
        path.name for path in starting if not re.search(r"\*NEEDS_QEMU|@pytest\.mark\.heavy", path.read_text())
    ] == []


def test_a_run_that_left_tests_out_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "folder", lambda: tmp_path)
    monkeypatch.setattr(unit_tests, "run", lambda _chosen, _until: 0)
    monkeypatch.setattr(inputs, "digests", lambda: {"tests/unit/test_a.py": "1"})
    monkeypatch.setattr(inputs, "facts", dict)
    monkeypatch.setattr(unit_tests, "change", lambda _files, _facts: Change({"tests/unit/test_a.py"}, "ever"))
    monkeypatch.setattr(unit_tests, "select", lambda _graph, changed: unit_tests.Selection(sorted(changed)))
    for seconds, ago, kept in ((-1.0, 0.0, 0), (60.0, 100.0, 0), (60.0, 0.0, 1)):
        monkeypatch.setattr(unit_tests, "MOST_SECONDS", seconds)
        monkeypatch.setenv(stages.BEGAN, str(time.monotonic() - ago))  # of the stages before
        assert unit_tests.main(["--changed"]) == 0
        assert len(list(proofs.all_of(unit_tests.NAME))) == kept


def test_nothing_changed_selects_nothing(graph: Graph) -> None:
    assert unit_tests.select(graph, set()).files == []


def test_a_removed_module_reaches_its_importers(graph: Graph) -> None:
    (graph.root / f"{ENGINE}/_plan/other.py").unlink()
    assert "tests/unit/test_other.py" in unit_tests.select(graph, {f"{ENGINE}/_plan/other.py"}).reached


def test_a_change_is_since_the_nearest_run_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "folder", lambda: tmp_path)
    monkeypatch.delenv("KVMFLEET_FRESH", raising=False)
    proofs.keep(unit_tests.NAME, "a", files={"x": "1", "y": "1"}, facts="here")
    proofs.keep(unit_tests.NAME, "b", files={"x": "2", "y": "2"}, facts="here")
    proofs.keep(unit_tests.NAME, "c", files={"x": "1", "y": "2"}, facts="elsewhere")
    assert unit_tests.change({"x": "1", "y": "3"}, "here").files == {"y"}


def test_the_line_says_how_many_and_why() -> None:
    found = unit_tests.Selection(["tests/unit/test_a.py"], ["tests/unit/test_b.py"])
    assert unit_tests.summary(found, 9, Change({"plugins/x.py"}, "HEAD~1")) == (
        "unit tests: 2 of 9 files (1 reach a changed file, 1 may read any); changed since HEAD~1: plugins/x.py"
    )
