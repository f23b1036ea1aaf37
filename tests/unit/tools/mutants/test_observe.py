# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes of what a test uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants import trial

SEES = """
import os, pathlib, subprocess
import constants, early, late

HERE = pathlib.Path(__file__).parent

def test_files():
    assert late.double(2) == constants.FOUR
    assert (HERE / "data.txt").read_text() == "x"
    assert os.listdir(HERE / "folder") == ["a"]
    assert not (HERE / "switch").exists()

def test_child():
    if not (pid := os.fork()):
        (HERE / "child.txt").read_bytes()
        os._exit(0)
    os.waitpid(pid, 0)

def test_program():
    subprocess.run(["true"], check=True)

def test_made_up():
    made: dict = {}
    exec(compile("def made_up(): return 1", "/nowhere/made_up.py", "exec"), made)
    assert made["made_up"]() == 1

def test_blind():
    import sys
    sys.settrace(None)
    late.half(2)
"""
PROJECT = {
    "test_sees.py": SEES,
    "constants.py": "FOUR = 4\n\ndef never():\n    return 1\n",
    "early.py": "import late\n\nNUMBER = late.double(1)\n",
    "late.py": "def double(n):\n    return 2 * n\n\ndef half(n):\n    return n // 2\n",
    "data.txt": "x",
    "child.txt": "x",
    "folder/a": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def notes(folder: Path, test: str) -> set[str]:
    run = trial.pytest(folder, [f"test_sees.py::{test}"])
    assert run.status == 0, run.output
    return set((folder / "build/seen").read_text().splitlines())


def test_files_as_they_are_used(folder: Path) -> None:
    """A file ran that was called, or that called when imported."""
    found = notes(folder, "test_files")
    assert found == {
        "imported test_sees.py", "ran test_sees.py", "imported constants.py", "imported early.py", "ran early.py",
        "imported late.py", "ran late.py", "read data.txt", "in folder", "read switch",
    }  # fmt: skip


def test_children_count(folder: Path) -> None:
    found = notes(folder, "test_child")
    assert "read child.txt" in found
    assert "any" not in found


def test_programs_are_named_and_may_use_anything(folder: Path) -> None:
    assert {"any", "program true"} <= notes(folder, "test_program")


@pytest.mark.parametrize("test", ["test_made_up", "test_blind"])
def test_what_is_not_seen_may_use_anything(folder: Path, test: str) -> None:
    assert "any" in notes(folder, test)
