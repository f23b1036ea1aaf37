# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytecode of Ansible's modules, kept between their runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.paths import REPOSITORY

SITE = REPOSITORY / "lab/bytecode"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def run(zipped: Path, kept: Path | None, text: str = "print(41 + 1)\n") -> str:
    """The output of a module that is imported from a zip."""
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("given.py", f"{text}print(run.__code__.co_filename)\n" if "def run" in text else text)
    environment = {**os.environ, "PYTHONPATH": f"{SITE}:{zipped}", "KVMFLEET_BYTECODE": str(kept or "")}
    return subprocess.run(
        [sys.executable, "-c", "import given"], env=environment, stdout=subprocess.PIPE, check=True, text=True
    ).stdout


def test_a_module_is_compiled_once(tmp_path: Path, kept: Path) -> None:
    first = run(tmp_path / "one_payload.zip", kept, "def run(): pass\n")
    (code,) = kept.iterdir()
    before = code.stat()
    second = run(tmp_path / "two_payload.zip", kept, "def run(): pass\n")
    assert code.stat() == before
    assert (first, second) == tuple(f"{tmp_path}/{name}_payload.zip/given.py\n" for name in ("one", "two"))


def test_other_contents_are_compiled_anew(tmp_path: Path, kept: Path) -> None:
    assert run(tmp_path / "one_payload.zip", kept) == "42\n"
    assert run(tmp_path / "one_payload.zip", kept, "print(43)\n") == "43\n"
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"N", b"i\x2a\x00\x00\x00"], ids=["empty", "junk", "none", "a number"]
)
def test_damaged_bytecode_is_made_again(tmp_path: Path, kept: Path, damage: bytes) -> None:
    run(tmp_path / "one_payload.zip", kept)
    (code,) = kept.iterdir()
    good = code.read_bytes()
    code.write_bytes(damage)
    assert run(tmp_path / "one_payload.zip", kept) == "42\n"
    assert code.read_bytes() == good


def test_only_modules_of_ansible_are_kept(tmp_path: Path, kept: Path) -> None:
    assert run(tmp_path / "sriovctl", kept) == "42\n"
    assert not kept.exists()


def test_nothing_is_kept_without_a_folder(tmp_path: Path) -> None:
    assert run(tmp_path / "one_payload.zip", None) == "42\n"


def test_a_folder_that_takes_nothing_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run(tmp_path / "one_payload.zip", tmp_path / "file/below") == "42\n"
