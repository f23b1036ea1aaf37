# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that began a live update stays until its end."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import SCHEMA
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ARMED, FINAL, PHASES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.state_file import Fingerprint
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


def text_of(schema: object, state: str) -> str:
    """A claim as it is on disk.

    Members of the same names are further in.
    """
    form = {"schema": 99, "state": "acknowledged"}
    return json.dumps({"form": form, "schema": schema, "state": state, "vm": "web1"}, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("state", claim.STATES)
@pytest.mark.parametrize("schema", [claim.SCHEMA, claim.SCHEMA - 1, claim.SCHEMA + 1, claim.SCHEMA * 10 + 1])
def test_claims_that_need_the_program(schema: int, state: str) -> None:
    assert (_begun_update.CLAIM, _begun_update.MANIFEST_SCHEMA) == (claim.SCHEMA, SCHEMA)
    text, needed = text_of(schema, state), claim.STATES[state].needed
    assert (re.search(_begun_update.NEEDED, text) is not None) == needed
    assert (re.search(_begun_update.FOREIGN, text) is not None) == (needed and schema != claim.SCHEMA)


def test_a_claim_as_it_is_written(tmp_path: Path) -> None:
    fingerprint = Fingerprint(1, "n", "s")
    claim.store(str(tmp_path), claim.Claim("m", "web1", "failed", "b", "u", 1.0, fingerprint, 1.0, 1.0))
    text = Path(claim.path(str(tmp_path))).read_text()
    assert re.search(_begun_update.NEEDED, text)
    assert not re.search(_begun_update.FOREIGN, text)
    assert re.search(_begun_update.FOREIGN, text.replace(f'"schema": {claim.SCHEMA}', '"schema": 77'))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "x"}', text_of(None, "saved"), "schema: 7"])
def test_a_damaged_claim_is_nothing_that_a_program_knows(text: str) -> None:
    assert not re.search(_begun_update.NEEDED, text)


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        (None, False), ("", False), ("[]", False), ("{}", False), ('{"schema": "4"}', False),
        (json.dumps({"schema": SCHEMA}), False), (json.dumps({"schema": SCHEMA - 1}), True),
        (json.dumps({"schema": SCHEMA + 1}), True),
    ],
)  # fmt: skip
def test_manifests_of_other_programs(text: str | None, foreign: bool) -> None:
    assert _begun_update.is_foreign(text) is foreign


@pytest.mark.slow
@pytest.mark.skipif(not ABLE, reason="user namespaces are off")
@pytest.mark.parametrize("phase", ["failed", "aborted"])
def test_a_program_that_cannot_restore_what_is_saved_is_refused(fleet: Fleet, phase: str) -> None:
    """By the claim's schema or the manifest's.

    One of the same schemas is installed.
    """
    host = next(host for host in fleet.hosts if host.name == "hv1")
    program = with_program(host, b"older", phase)
    folder = host.root / "var/lib/kvmfleet-sriov/live-update"
    (folder / "vms/web1").mkdir(parents=True)
    (folder / "vms/db1").mkdir()
    for schema, manifest in [(claim.SCHEMA - 1, SCHEMA), (claim.SCHEMA, SCHEMA - 1)]:
        (folder / "vms/web1/claim.json").write_text(text_of(schema, "failed"))
        (folder / "vms/db1/claim.json").write_text(text_of(schema, "acknowledged"))
        (folder / "manifest.json").write_text(json.dumps({"schema": manifest}))
        done = fleet.run("ansible-playbook", "play.yml")
        assert (done.returncode, program.read_bytes()) == (2, b"older"), done.stdout
        assert "it has saved VM web1, not seen to run since, in a form that the program" in done.stdout
        assert "sriovctl live-update restore" in done.stdout
    (folder / "manifest.json").write_text(json.dumps({"schema": SCHEMA}))
    done = fleet.run("ansible-playbook", "play.yml")
    assert (done.returncode, program.read_bytes()) == (0, _node_program.pack()), done.stdout


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
