# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes of what a test uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import trial

SEES = """
import os, pathlib, subprocess, threading
import constants, late

HERE = pathlib.Path(__file__).parent

def test_files():
    assert late.double(2) == constants.FOUR
    assert (HERE / "link/data.txt").read_text() == "x"

def test_thread():
    thread = threading.Thread(target=late.double, args=(2,))
    thread.start()
    thread.join()

def test_child():
    if not (pid := os.fork()):
        with open("child.txt"):
            late.double(2)
        os._exit(0)
    os.waitpid(pid, 0)

def test_program():
    subprocess.run(["true"], check=True)

def test_shell():
    os.system("true")

def test_blind():
    import sys
    sys.settrace(None)
    late.double(2)
"""
PROJECT = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-p no:cacheprovider'\n",
    "test_sees.py": SEES,
    "constants.py": "FOUR = 4\n\ndef never():\n    return 1\n",
    "late.py": "def double(n):\n    return 2 * n\n",
    "folder/data.txt": "x",
    "child.txt": "x",
}
NOTES = [
    ("test_files", {"test_sees.py", "late.py", "folder/data.txt"}),
    ("test_thread", {"test_sees.py", "late.py"}),
    ("test_child", {"test_sees.py", "late.py", "child.txt"}),
    ("test_program", {"test_sees.py", "!starts programs"}),
    ("test_shell", {"test_sees.py", "!starts programs"}),
    ("test_blind", {"test_sees.py", "!ends the tracing of calls"}),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("folder")
    return tmp_path


@pytest.mark.parametrize(("test", "notes"), NOTES)
def test_files_with_called_functions_and_opened_ones(folder: Path, test: str, notes: set[str]) -> None:
    run = trial.pytest(folder, [f"test_sees.py::{test}"])
    assert run.status == 0, run.output
    assert {note for note in run.seen if not note.startswith("build/")} == {"pyproject.toml", *notes}


def test_nothing_is_noted_of_a_test_that_is_not_observed(folder: Path) -> None:
    assert trial.pytest(folder, ["test_sees.py::test_files"], observed=False).seen == frozenset()
