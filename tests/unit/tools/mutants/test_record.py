# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of planted faults: what makes a result stale."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tools.evidence import BadRecordError
from tools.mutants import record
from tools.mutants.copies import listed
from tools.mutants.mutant import Mutant
from tools.mutants.rests import Tree
from tools.mutants.survey import survey

from .project import ADDS, make, run, use

TEST = '''
import pathlib
import code_, near

HERE = pathlib.Path(__file__).parent

def test_double(number):
    assert (HERE / "data.txt").read_text() == "data"
    assert code_.double(number) == near.NUMBER

def test_other():
    """It is another."""
'''
PROJECT = {
    "code_.py": "import called, below\n\nTEXT = '''a\nb'''\n\n\ndef double(n):\n    called.factor()\n    return 2 * n\n"
    "\n\ndef half(n):\n    return n // 2\n",
    "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef number():\n    return 4\n",
    "called.py": "import far_called, far\n\n\ndef factor():\n    return far_called.two()\n"
    "\n\ndef unused():\n    return 1\n",
    "far_called.py": "TWO = 2\n\n\ndef two():\n    return TWO\n",
    "far.py": "A = 1\n",
    "near.py": "NUMBER = 8\n",
    "below.py": "A = 1\n",
    "aside.py": "A = 1\n",
    "test_aside.py": "def test_aside():\n    pass\n",
    "data.txt": "data",
    "aside.txt": "aside",
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "test_code.py": TEST,
}


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a recorded fault."""
    folder = tmp_path_factory.mktemp("caught")
    with pytest.MonkeyPatch.context() as patch:
        make(folder, patch)
        for name, text in PROJECT.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        _run(folder)
    return folder


def _run(folder: Path) -> None:
    assert survey([ADDS], folder, keep=True) == (1, 0)


@pytest.fixture
def project(caught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    shutil.copytree(caught, tmp_path, dirs_exist_ok=True)
    use(tmp_path, monkeypatch)
    return tmp_path


def stale(folder: Path, fault: Mutant = ADDS) -> str:
    return record.stale(Tree(folder, listed(folder)), [fault]).get(fault.name, "")


# file, its old text (empty: the end), the new one, whether the result is stale then
EDITS = [
    ("code_.py", "n // 2", "n // 2 + 0", True),
    ("code_.py", "a\nb", "a\n\nb", True),
    ("code_.py", "n // 2", "n // 2  # rounded", False),
    ("code_.py", "def half(n):\n", 'def half(n):\n    """Half of it."""\n', False),
    ("test_code.py", "def test_other():", "def test_another():", True),
    ("test_code.py", "It is another", "It is no other", False),
    ("conftest.py", "return 4", "return 4 + 0", True),
    ("called.py", "return 1", "return 3", True),
    ("far_called.py", "TWO = 2", "TWO = 1 + 1", True),
    ("far_called.py", "return TWO", "return (", True),
    ("near.py", "8", "4 + 4", True),
    ("below.py", "1", "2", True),
    ("data.txt", "", " ", True),
    ("pyproject.toml", "", "\n", True),
    ("far.py", "1", "2", False),
    ("aside.py", "1", "2", False),
    ("test_aside.py", "pass", "assert True", False),
    ("aside.txt", "", " ", False),
    ("another.py", "", "A = 1\n", False),
]


@pytest.mark.parametrize(("file", "old", "new", "is_stale"), EDITS)
def test_what_an_edit_makes_stale(project: Path, file: str, old: str, new: str, is_stale: bool) -> None:
    assert stale(project) == ""
    path = project / file
    before = path.read_text() if path.exists() else ""
    assert not old or before.count(old) == 1
    path.write_text(before.replace(old, new) if old else before + new)
    assert stale(project) == ("changed since: files" if is_stale else "")


def test_another_fault_of_that_name(project: Path) -> None:
    for other in (replace(ADDS, new="3 * n"), replace(ADDS, test="test_code.py::test_other")):
        assert stale(project, other).startswith("changed since: fault")
    assert stale(project, replace(ADDS, name="another")) == "no result"


def test_a_file_that_is_gone_or_has_another_name(project: Path) -> None:
    (project / "far_called.py").rename(project / "moved.py")
    assert stale(project) == "changed since: files"


def test_a_conftest_that_was_not_there(project: Path) -> None:
    """What always counts is asked of the checkout as it is."""
    files = set(entry()["files"].split()) - {Tree(project, listed(project)).sums["conftest.py"]}
    record.FILE.write_text(json.dumps({ADDS.name: {**entry(), "files": " ".join(files)}}))
    assert stale(project) == "changed since: files"
    (project / "conftest.py").unlink()
    assert stale(project) == ""


def test_another_python_makes_all_stale(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (4, 0, 0))
    assert stale(project) == "changed since: python"


def entry() -> dict[str, str]:
    return dict(record.load()[ADDS.name])


@pytest.mark.parametrize(
    "change", [{"files": ""}, {"files": "00000000"}, {"files": 5}, {"files": None}, {"fault": None}, {"python": "2.7"}]
)
def test_an_altered_entry_is_none(project: Path, change: dict[str, object]) -> None:
    record.FILE.write_text(json.dumps({ADDS.name: {**entry(), **change}}))
    assert stale(project).startswith("changed since: ")


@pytest.mark.parametrize("value", [None, "yes", ["code"], {}])
def test_an_unknown_entry_is_none(project: Path, value: object) -> None:
    record.FILE.write_text(json.dumps({ADDS.name: value}))
    assert stale(project)


@pytest.mark.parametrize("text", ["", "<<<<<<< ours\n{}", "[]", '{"it adds": '])
def test_a_record_that_cannot_be_read_proves_nothing(
    project: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record.FILE.write_text(text)
    with pytest.raises(BadRecordError, match=r"cannot read the record .*take one side with git checkout, or remove it"):
        stale(project)
    for arguments in ((), ("--stage",), ("--fresh",)):
        with pytest.raises(SystemExit) as ended:
            run(capsys, ADDS, arguments=arguments)
        assert ended.value.code == 2
    assert record.FILE.read_text() == text


def test_the_same_result_keeps_its_day(project: Path) -> None:
    record.FILE.write_text(json.dumps({ADDS.name: {**entry(), "day": "2020-01-01"}}))
    _run(project)
    assert entry()["day"] == "2020-01-01"
    (project / "data.txt").write_text("data")
    (project / "called.py").write_text(PROJECT["called.py"].replace("return 1", "return 3"))
    _run(project)
    assert entry()["day"] != "2020-01-01"
    assert stale(project) == ""
