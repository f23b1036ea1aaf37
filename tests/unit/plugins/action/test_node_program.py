# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin through ansible itself, onto this machine.

It runs four times: check mode, a change, again, with a wrong option.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _node_program
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import pack

ROOT = Path(__file__).resolve().parents[4]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - {kvmfleet.sriov.node_program: {dest: "{{ dest }}"}, check_mode: true, register: check}
    - {kvmfleet.sriov.node_program: {dest: "{{ dest }}"}, register: do}
    - {kvmfleet.sriov.node_program: {dest: "{{ dest }}"}, register: again}
    - {kvmfleet.sriov.node_program: {dset: "{{ dest }}"}, register: typo, ignore_errors: true}
    - ansible.builtin.assert:
        that: [check.changed, do.changed, not again.changed, typo is failed, "'dset' in typo.msg"]
"""


def test_check_do_again(tmp_path: Path) -> None:
    """A change after check mode, which has changed nothing."""
    dest = tmp_path / "sriovctl"
    (tmp_path / "play.yml").write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "src")}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "play.yml"]
    extra = ["-e", json.dumps({"dest": str(dest), "ansible_python_interpreter": sys.executable})]
    done = subprocess.run(
        [*command, *extra], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert dest.read_bytes() == pack()
    assert dest.stat().st_mode & 0o777 == 0o755


def test_workers_of_a_run_pack_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []

    def slowly() -> bytes:
        packed.append("x")
        time.sleep(0.2)
        return b"program"

    monkeypatch.setattr(_node_program, "pack", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _number: _node_program.packed_once(tmp_path), range(4)))
    assert [path.read_bytes() for path in found] == [b"program"] * 4
    assert packed == ["x"]


def test_one_that_was_killed_while_packing_leaves_nothing(tmp_path: Path) -> None:
    """Half a program is never installed."""
    (tmp_path / "kvmfleet-sriovctl.new").write_bytes(b"half")
    assert _node_program.packed_once(tmp_path).read_bytes() == pack()
