# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/qualify.yml on played hosts, whose kernel behaves as the fake one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.played.fleet import Fleet
from lab.played.host import NETDEV

UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "true"]
ABLE = subprocess.run(UNSHARE, capture_output=True).returncode == 0
pytestmark = [
    pytest.mark.slow,  # runs of ansible-playbook
    pytest.mark.skipif(not ABLE, reason="user namespaces are off"),
]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path, [])
    yield fleet
    for host in fleet.hosts:
        host.server.shutdown()
        host.server.server_close()


def qualify(fleet: Fleet, *words: str) -> tuple[int, str]:
    words = ("kvmfleet.sriov.qualify", "-e", f"qualify_dest={fleet.folder}/out", *words)
    done = fleet.run("ansible-playbook", *words)
    return done.returncode, done.stdout + done.stderr


def test_a_report_and_the_pf_as_it_was(fleet: Fleet) -> None:
    status, output = qualify(fleet, "-e", "qualify_hosts=hv1", "-e", f"qualify_pf={NETDEV}")
    assert status == 0, output
    text = (fleet.folder / "out/hv1.json").read_text()
    found = json.loads(text)
    works = {one["case"]: one["works"] for one in found["cases"]}
    assert works["all VFs"]
    assert works["VLAN"]
    assert works["enabled and absent"]
    assert (found["adapter"]["driver"], found["adapter"]["total_vfs"]) == ("igb", 7)
    assert found["seconds_per_vf"] > 0
    assert NETDEV not in text
    assert "hv1" not in text
    host = next(host for host in fleet.hosts if host.name == "hv1")
    assert (host.pf.enabled, host.pf.vfs, host.pf.autoprobe) == (0, {}, True)


def test_a_pf_with_vfs_is_left_alone(fleet: Fleet) -> None:
    host = next(host for host in fleet.hosts if host.name == "hv3")
    host.fake.setup(host.pf, 2, [0, 1])
    status, output = qualify(fleet, "-e", "qualify_hosts=hv3", "-e", f"qualify_pf={NETDEV}")
    assert (status, "Only a PF without VFs is tried" in output) == (2, True)
    assert host.pf.enabled == 2


def test_without_a_host_nothing_begins(fleet: Fleet) -> None:
    status, output = qualify(fleet, "-e", f"qualify_pf={NETDEV}")
    assert (status, "Say qualify_hosts, a spare host" in output) == (2, True)
