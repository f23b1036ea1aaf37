# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools/environment` with a played Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.inputs import ROOT

PYTHON = """#!/bin/sh
# -m venv --clear FOLDER: a Python first, pip a moment later
mkdir -p "$4/bin"
rm -f "$4/pip"
cat >"$4/bin/python" <<'END'
#!/bin/sh
test "$3" != --version || exec test -e "${0%/bin/python}/pip"
echo "$*" >>"${0%/bin/python}/installed"
END
chmod +x "$4/bin/python"
sleep 0.3
touch "$4/pip"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "list.txt").write_text("")
    return tmp_path


def make(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([ROOT / "tools/environment", "made/here", "list.txt", "./python"], cwd=folder)


def installed(folder: Path) -> list[str]:
    return (folder / "made/here/installed").read_text().splitlines()


def test_stages_side_by_side_make_one(folder: Path) -> None:
    assert [one.wait() for one in [make(folder) for _ in range(3)]] == [0, 0, 0]
    assert len(installed(folder)) == 1
    assert "--requirement list.txt" in installed(folder)[0]


def test_one_that_was_interrupted_is_made_anew(folder: Path) -> None:
    make(folder).wait()
    for name in ("pip", ".ready"):
        (folder / "made/here" / name).unlink()
    assert make(folder).wait() == 0
    assert ((folder / "made/here/pip").exists(), (folder / "made/here/.ready").exists()) == (True, True)


def test_an_edited_list_is_installed(folder: Path) -> None:
    make(folder).wait()
    (folder / "made/here/.ready").touch()
    (folder / "list.txt").write_text("more\n")
    make(folder).wait()
    assert len(installed(folder)) == 2
