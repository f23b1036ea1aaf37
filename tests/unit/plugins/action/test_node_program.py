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
from pathlib import Path

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
