# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project of a few lines in which faults are planted."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from tools.mutants import mutant, record
from tools.mutants.__main__ import main
from tools.mutants.mutant import Mutant

CODE = "def double(n):\n    return 2 * n\n\n\ndef half(n):\n    return n // 2\n"
TESTS = (
    "import code_\n\n\ndef test_double():\n    assert code_.double(4) == 8\n\n\n"
    "def test_half():\n    assert code_.half(4) == 2\n\n\ndef test_wrong():\n    assert code_.half(4) == 3\n"
)
ADDS = Mutant("it adds", "code_.py", "2 * n", "2 + n", "test_code.py::test_double")
UP = Mutant("it rounds up", "code_.py", "n // 2", "-(-n // 2)", "test_code.py::test_half")
DOWN = Mutant("it is one less", "code_.py", "n // 2", "n // 2 - 1", "test_code.py::test_half")
CRASH = Mutant("it is another name", "code_.py", "n // 2", "m // 2", "test_code.py::test_half")
GONE = Mutant(
    "it cannot be imported", "code_.py", "def half(", "import nowhere\n\n\ndef half(", "test_code.py::test_half"
)
RED = Mutant("it is red before", "code_.py", "n // 2", "n / 2", "test_code.py::test_wrong")
"""Faults of the project; `ADDS` and `DOWN` are caught."""


def make(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write the project and let the tool use it."""
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    (folder / ".gitignore").write_text("/build/\n__pycache__/\n")
    (folder / "code_.py").write_text(CODE)
    (folder / "test_code.py").write_text(TESTS)
    (folder / "tests/mutants").mkdir(parents=True)
    use(folder, patch)


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mutant, "ROOT", folder)
    patch.setattr(mutant, "LIST", folder / "tests/mutants/mutants.yml")
    patch.setattr(record, "FILE", folder / record.NAME)


def run(capsys: pytest.CaptureFixture[str], *faults: Mutant, arguments: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """Run the tool; return exit status and lines.

    Nothing is left behind.
    """
    mutant.LIST.write_text(yaml.safe_dump([asdict(one) for one in faults]))
    before = (mutant.ROOT / "code_.py").read_text()
    status = main(list(arguments))
    assert (mutant.ROOT / "code_.py").read_text() == before
    assert list((mutant.ROOT / "build/mutants").glob("*")) == []
    return status, capsys.readouterr().out.splitlines()
