# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that began a live update stays until its end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ARMED, FINAL, PHASES
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils import _begun_update, _node_program
from lab.played.fleet import Fleet
from lab.played.host import NETDEV, Host

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "true"]
ABLE = subprocess.run(UNSHARE, capture_output=True).returncode == 0
PLAY = """
- hosts: hv1
  gather_facts: false
  become: true
  tasks:
    - {kvmfleet.sriov.node_program: }
"""


@pytest.mark.parametrize("phase", PHASES)
def test_phases(phase: str) -> None:
    expected = None if phase == ARMED or phase in FINAL else phase
    assert _begun_update.phase_of(json.dumps({"phase": phase})) == expected


@pytest.mark.parametrize("status", ["", "{", "[]", "{}", '{"phase": 7}', '{"phase": "other"}', '{"phase": ["done"]}'])
def test_a_damaged_status_is_no_leave(status: str) -> None:
    assert _begun_update.phase_of(status) == "unknown"


def test_no_status_no_update() -> None:
    assert _begun_update.phase_of(None) is None


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, [{"pf": NETDEV, "hardware_vfs": 2}])
    (tmp_path / "play.yml").write_text(PLAY)
    yield fleet
    for host in fleet.hosts:
        host.server.shutdown()
        host.server.server_close()


def with_program(host: Host, text: bytes, phase: str | None) -> Path:
    """The program of a played host, an update in its phase."""
    program = host.root / "usr/local/sbin/sriovctl"
    program.write_bytes(text)
    program.chmod(0o755)
    status = host.root / "var/lib/kvmfleet-sriov/live-update/status.json"
    status.parent.mkdir(parents=True, exist_ok=True)
    status.unlink(missing_ok=True)
    if phase is not None:
        status.write_text(json.dumps({"phase": phase, "manifest": "m1", "boot_id": "b", "time": 1.0, "message": ""}))
    return program


@pytest.mark.slow
@pytest.mark.skipif(not ABLE, reason="user namespaces are off")
def test_a_host_whose_vms_are_saved_keeps_its_program(fleet: Fleet) -> None:
    host = next(host for host in fleet.hosts if host.name == "hv1")
    program = with_program(host, b"older", "saved")
    for words in ([], ["--check"]):
        done = fleet.run("ansible-playbook", *words, "play.yml")
        assert (done.returncode, program.read_bytes()) == (2, b"older"), done.stdout
        assert "is not replaced: a live update of this host has begun (phase saved)" in done.stdout
    done = fleet.run("ansible-playbook", "kvmfleet.sriov.sriov", "-l", "hv1")
    assert (done.returncode, program.read_bytes()) == (2, b"older"), done.stdout
    with_program(host, _node_program.pack(), "saved")
    done = fleet.run("ansible-playbook", "play.yml")
    assert done.returncode == 0, done.stdout
    with_program(host, b"older", "armed")
    done = fleet.run("ansible-playbook", "play.yml")
    assert (done.returncode, program.read_bytes()) == (0, _node_program.pack()), done.stdout
