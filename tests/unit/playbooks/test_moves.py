# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/live_update.yml: VMs that are moved to other hosts before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake.fleet.played import Fleet

pytestmark = pytest.mark.slow  # runs of ansible-playbook

MOVES = [{"name": "web1", "words": ["/usr/local/bin/evacuate", "web1", "$(x) hv9"]}]
VMS: dict[str, Any] = {
    "live_update_vms": [{"name": "web1", "strategy": "migrate"}, {"name": "db1", "strategy": "shutdown"}]
}


def test_vms_leave_before_the_host_is_armed(fleet: Fleet) -> None:
    fleet.host("h1", moves=MOVES)
    fleet.host("h2")
    done = fleet.run(**VMS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.log("h1")[:2] == ["moved", "started"]
    assert fleet.log("h2")[0] == "started"
    assert "/usr/local/bin/evacuate web1 '$(x) hv9'" in done.stdout
    hosts = {host["name"]: host for host in fleet.report()["hosts"]}
    assert [hosts["h1"]["moved"], hosts["h2"]["moved"]] == [["web1"], []]
    assert hosts["h1"]["strategies"] == {"web1": "migrate", "db1": "shutdown"}
    assert "moved to other hosts before: web1" in done.stdout


def test_a_vm_that_stays_keeps_its_host_as_it_is(fleet: Fleet) -> None:
    fleet.host("h1", moves=MOVES, stays=True)
    done = fleet.run(**VMS)
    assert done.returncode != 0
    assert fleet.log("h1") == ["moved"]
    assert "no host has room; it stays here, with its VFs" in fleet.report()["hosts"][0]["error"]


def test_check_mode_moves_nothing(fleet: Fleet) -> None:
    fleet.host("h1", moves=MOVES)
    done = fleet.run("--check", **VMS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/usr/local/bin/evacuate web1 '$(x) hv9'" in done.stdout
