# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Local facts of role sriov: written, kept, removed where they are ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
OURS = ROOT / "roles/sriov/files/sriov.fact"


def play(folder: Path, *wanted: bool | None, check: bool = False) -> str:
    """Run the role's tasks once for each value; returns Ansible's output."""
    role = {"name": "kvmfleet.sriov.sriov", "tasks_from": "local_facts"}
    tasks = [
        {"ansible.builtin.include_role": role, "vars": {"sriov_local_facts": value}, "name": f"Want {value}"}
        for value in wanted
    ]
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    given = {"sriov_facts": f"{folder}/facts.d/sriov.fact", "ansible_python_interpreter": sys.executable}
    argv = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", folder / "play.yml"]
    argv += ["-e", json.dumps(given), *(["--check"] if check else [])]
    own = {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/src"), "ANSIBLE_PIPELINING": "true", "NO_COLOR": "1"}
    done = subprocess.run(
        [*map(str, argv)],
        env={**os.environ, **own, "ANSIBLE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="files become root's")
def test_they_are_written_kept_and_removed(tmp_path: Path) -> None:
    fact = tmp_path / "facts.d/sriov.fact"
    play(tmp_path, True, check=True)
    assert not fact.exists()
    assert "changed=2" in play(tmp_path, True, True)
    assert (fact.read_text(), fact.stat().st_mode & 0o777) == (OURS.read_text(), 0o755)
    assert "changed=1" in play(tmp_path, False, False)
    assert not fact.exists()
    fact.write_text('#!/bin/sh\necho \'{"of": "an operator"}\'\n')
    assert "changed=0" in play(tmp_path, False)
    assert "an operator" in fact.read_text()


def test_the_program_prints_the_status() -> None:
    words = [line for line in OURS.read_text().splitlines() if not line.startswith("#")]
    assert words == ["exec /usr/local/sbin/sriovctl status --json"]
    assert os.access(OURS, os.X_OK)
