# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of planted faults: what makes a result stale."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools import inputs
from tools.evidence import BadRecordError
from tools.mutants import machine, record
from tools.mutants.copies import listed
from tools.mutants.mutant import Mutant
from tools.mutants.rests import Tree
from tools.mutants.seen import Seen
from tools.mutants.survey import survey

from .project import ADDS, make, run, use

TEST = '''
import pathlib
import code_, names_, registered

HERE = pathlib.Path(__file__).parent

def test_double(number):
    assert (HERE / "data.txt").read_text() == "data"
    assert not (HERE / "switch").exists()
    assert [path.name for path in (HERE / "folder").iterdir()] == ["a"]
    assert code_.double(number) == names_.NUMBER

def test_other():
    """It is another."""
'''
PROJECT = {
    "code_.py": "import parts\n\nTEXT = '''a\nb'''\n\n\ndef double(n):\n    parts.factor()\n    return 2 * n\n\n\n"
    "def half(n):\n    return n // 2\n",
    "conftest.py": "import pytest\n\n\n@pytest.fixture\ndef number():\n    return 4\n",
    "parts.py": "def factor():\n    return 2\n\n\ndef unused():\n    return 1\n",
    "names_.py": "NUMBER = 8\nOTHER = 9\n\n\ndef never():\n    return 1\n\n\n__all__ = ['NUMBER']\n",
    "registered.py": "import parts\n\nFACTOR = parts.factor()\nANOTHER = 1\n",
    "aside.py": "A = 1\n",
    "test_aside.py": "def test_aside():\n    pass\n",
    "data.txt": "data",
    "aside.txt": "aside",
    "folder/a": "",
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
def project(caught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it."""
    shutil.copytree(caught, tmp_path, dirs_exist_ok=True)
    use(tmp_path, monkeypatch)
    machine.forget()
    yield tmp_path
    machine.forget()


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
    ("parts.py", "return 1", "return 3", True),
    ("names_.py", "NUMBER = 8", "NUMBER = 4 + 4", True),
    ("names_.py", "OTHER = 9", "OTHER = 10", False),
    ("names_.py", "return 1", "return 3", False),
    ("names_.py", "['NUMBER']", "[]", True),
    ("names_.py", "", "print(1)\n", True),
    ("registered.py", "ANOTHER = 1", "ANOTHER = 2", True),
    ("aside.py", "1", "2", False),
    ("test_aside.py", "pass", "assert True", False),
    ("data.txt", "", " ", True),
    ("aside.txt", "", " ", False),
    ("folder/b", "", "", True),
    ("switch", "", "", True),
    ("another", "", "", False),
    ("pyproject.toml", "", "[tool.pytest.ini_options]\n", True),
]


@pytest.mark.parametrize(("file", "old", "new", "is_stale"), EDITS)
def test_what_an_edit_makes_stale(project: Path, file: str, old: str, new: str, is_stale: bool) -> None:
    assert stale(project) == ""
    path = project / file
    before = path.read_text() if path.exists() else ""
    assert not old or before.count(old) == 1
    path.write_text(before.replace(old, new) if old else before + new)
    assert stale(project) == ("changed since: code" if is_stale else "")


def test_another_fault_of_that_name(project: Path) -> None:
    for other in (replace(ADDS, new="3 * n"), replace(ADDS, test="test_code.py::test_other")):
        assert stale(project, other).startswith("changed since: fault")
    assert stale(project, replace(ADDS, name="another")) == "no result"


def test_another_python_or_package_makes_all_stale(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "packages", lambda: ["pytest-0.dist-info"])
    assert stale(project) == "changed since: machine"
    monkeypatch.undo()
    use(project, monkeypatch)
    machine.forget()
    assert stale(project) == ""
    monkeypatch.setattr("platform.python_version", lambda: "4.0")
    machine.forget()
    assert stale(project) == "changed since: machine"


def test_programs_that_the_test_starts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their contents count then, and all of the checkout but tests aside."""
    monkeypatch.setenv("PATH", str(project / "build"), prepend=os.pathsep)
    program = project / "build/tool"
    program.write_text("1")
    program.chmod(0o755)
    tree = Tree(project, listed(project))
    record.keep(tree, ADDS, Seen.of(["any", "program tool", "program gone"]))
    assert record.load()[ADDS.name]["programs"] == "gone tool"
    assert stale(project) == ""
    machine.forget()
    program.write_text("2")
    assert stale(project) == "changed since: machine"
    program.write_text("1")
    machine.forget()
    (project / "aside.txt").write_text("other")
    assert stale(project) == "changed since: code"


def entry() -> dict[str, str]:
    return dict(record.load()[ADDS.name])


@pytest.mark.parametrize(
    "change", [{"code": "0"}, {"machine": 1}, {"seen": ""}, {"seen": 5}, {"fault": None}, {"programs": "true"}]
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
    (project / "parts.py").write_text(PROJECT["parts.py"].replace("return 1", "return 3"))
    _run(project)
    assert entry()["day"] != "2020-01-01"
    assert stale(project) == ""
