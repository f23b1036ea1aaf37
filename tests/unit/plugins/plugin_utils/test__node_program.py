# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node program: reproducible, complete, on the standard library alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _node_program
from tests.fake.linux.host import FakeHost


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "sriovctl"
    path.write_bytes(_node_program.pack())
    return path


def call(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-IS", str(program), *arguments], capture_output=True, text=True, check=False
    )


def test_same_bytes_from_another_folder_at_another_time(tmp_path: Path, program: Path) -> None:
    source = Path(_node_program.__file__).resolve().parents[1] / "module_utils"
    for path in sorted(source.rglob("*.py"), reverse=True):
        copy = tmp_path / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
        os.utime(copy, (0, 0))
        copy.chmod(0o600)
    assert _node_program.pack(tmp_path) == program.read_bytes()


def test_other_contents_are_other_bytes() -> None:
    assert _node_program.archive({"a": "1"}) != _node_program.archive({"a": "2"})


def test_holds_what_is_imported_and_nothing_of_ansible(program: Path) -> None:
    with zipfile.ZipFile(BytesIO(program.read_bytes())) as packed:
        names = packed.namelist()
        text = "".join(packed.read(name).decode() for name in names)
    assert names == sorted(names)
    expected = {"_sriovctl/__init__.py", "_sriovctl/cli.py", "_sriovctl/live_update_command.py", "_model/vf_ids.py"}
    assert {"__main__.py", *(f"kvmfleet_sriov/{name}" for name in expected)} <= set(names)
    assert not [name for name in names if "_kernel_build" in name or "_ansible" in name]
    assert "import ansible" not in text
    assert "from ansible" not in text


# source of module _room.me, the modules that it imports
IMPORTS = [
    ("from .a import b\nfrom . import c, d\n", ["_room.a", "_room.c", "_room.d"]),
    ("def f():\n    from . import late\n", ["_room.late"]),
    ("from .._other import e\nfrom .._other.f import g\n", ["_other.e", "_other.f"]),
    ("import os\nfrom ansible.x import y\n", []),
]


@pytest.mark.parametrize(("source", "names"), IMPORTS)
def test_imported(tmp_path: Path, source: str, names: list[str]) -> None:
    for name in ("_room/a", "_other/f"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.py").touch()
    assert _node_program.imported(source, "_room.me", tmp_path) == names


def test_program_reads_a_fake_host(tmp_path: Path, program: Path) -> None:
    host = FakeHost(tmp_path / "root")
    host.setup(host.nvme(), 8, [2, 5])
    answer = call(program, "--root", str(host.root), "status", "--json")
    assert json.loads(answer.stdout)["pfs"][0]["present_vfs"] == "2,5"


def test_program_starts_writers_from_its_archive(tmp_path: Path, program: Path) -> None:
    """A writer process, started from the archive.

    Plain files do nothing, so the run fails after the last step, but that was written by a process of its own.
    """
    host = FakeHost(tmp_path / "root")
    host.setup(host.nvme(), 8, [2, 5])
    (tmp_path / "host.json").write_text('{"pfs": [{"pf": "0000:04:00.0", "present_vfs": "5"}]}')
    answer = call(program, "--root", str(host.root), "apply", str(tmp_path / "host.json"))
    assert (answer.returncode, "all steps went through, but a fresh reading shows" in answer.stderr) == (1, True)
    assert (host.root / "sys/bus/pci/devices/0000:04:00.0/sriov_remove_vf_id").read_text() == "2\n"
    assert (host.root / "run/kvmfleet-sriov/writes/0000:04:00.0").exists()


def test_program_returns_exit_status(tmp_path: Path, program: Path) -> None:
    assert call(program, "--help").returncode == 0
    missing = call(program, "plan", str(tmp_path / "none.json"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "cannot read the host document" in missing.stderr


def test_yaml_is_read_without_the_packages_of_the_distribution(program: Path, tmp_path: Path) -> None:
    """The program starts without them (-S), and looks for PyYAML late."""
    document = tmp_path / "h1.yml"
    document.write_text("sriov_pfs:\n- {pf: eth0, hardware_vf: 2}\n")
    done = call(program, "check", str(document))
    assert (done.returncode, "did you mean 'hardware_vfs'" in done.stderr + done.stdout) == (2, True), done.stderr
    document.write_text("sriov_pfs:\n- {pf: eth0, hardware_vfs: 2}\n")
    assert call(program, "check", str(document)).returncode == 0
