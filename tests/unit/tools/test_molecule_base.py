# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared configuration of molecule scenarios.

A run that reaches no host must fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow
BASE = Path(__file__).parents[3] / ".config/molecule/config.yml"
HERE = f"[hypervisors]\nlocalhost ansible_connection=local ansible_python_interpreter={sys.executable}\n"
CONVERGE = "- hosts: hypervisors\n  tasks:\n    - ansible.builtin.ping:\n"


# the inventory (None: no such file), and whether the scenario passes
@pytest.mark.parametrize(
    ("inventory", "passes"), [(HERE, True), (HERE.replace("hypervisors", "others"), False), (None, False)]
)
def test_a_run_without_hosts_fails(tmp_path: Path, inventory: str | None, passes: bool) -> None:
    scenario(tmp_path)
    if inventory is not None:
        (tmp_path / "hosts.ini").write_text(inventory)
    run = molecule(tmp_path, KVMFLEET_INVENTORY=str(tmp_path / "hosts.ini"))
    assert (run.returncode == 0) == passes, run.stdout
    assert ("ok=1" in run.stdout) == passes, run.stdout


def test_as_typed_it_finds_the_hosts_of_the_lab(tmp_path: Path) -> None:
    scenario(tmp_path)
    (tmp_path / "build/lab/test").mkdir(parents=True)
    group = {"localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
    hosts = yaml.safe_dump({"hypervisors": {"hosts": group}})
    (tmp_path / "build/lab/test/inventory.yml").write_text(hosts)
    run = molecule(tmp_path)
    assert (run.returncode, "ok=1" in run.stdout) == (0, True), run.stdout


def scenario(tmp_path: Path) -> None:
    """A scenario with the shared configuration."""
    folder = tmp_path / "molecule/default"
    folder.mkdir(parents=True)
    (folder / "molecule.yml").write_text("---\n")
    (folder / "converge.yml").write_text(CONVERGE)
    (tmp_path / ".config/molecule").mkdir(parents=True)
    shutil.copy(BASE, tmp_path / ".config/molecule/config.yml")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)


def molecule(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name != "KVMFLEET_INVENTORY"}
    return subprocess.run(
        [sys.executable, "-m", "molecule", "converge"],
        cwd=tmp_path,
        env={**inherited, "PATH": tools, "HOME": str(tmp_path), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
