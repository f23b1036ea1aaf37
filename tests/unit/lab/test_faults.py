# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on emulated hosts, without the hosts."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab.faults import guests, run
from lab.faults.guests import Seen
from lab.faults.rows import NEW, OLD, ROWS, SAME, LabFault
from lab.fleet import fleet
from lab.machine.host import Running
from lab.machine.ssh import Ssh
from tests.faults.guest import Sector

HOST = fleet.load("faults").hosts[0]
SEEN = Seen(
    "new", "b2", "failed", (), {vm.name: 1 for vm in HOST.vms}, {vm.name: Sector(9, 1, 0) for vm in HOST.vms},
    {vm.vf: {"address": vm.mac, "vlan_list": [{"vlan": vm.vlan}]} for vm in HOST.vms},
    {vm.vf: "vfio-pci" for vm in HOST.vms},
)  # fmt: skip
COUNTED = {vm.name: Sector(20, 1, 0) for vm in HOST.vms}


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(Running, "ssh", property(lambda _self: Ssh(1, Path("key"))))
    return Running("faults", HOST, Path("key"))


def wrong(
    monkeypatch: pytest.MonkeyPatch, target: Running, later: Seen, *, kernel: str = NEW, after: Seen = SEEN
) -> str:
    monkeypatch.setattr(guests, "look", lambda _ssh, _host: later)
    return run._wrong(target, LabFault("x", "what", kernel, "failed"), "new", SEEN, after)


def test_all_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    assert wrong(monkeypatch, target, replace(SEEN, sectors=COUNTED)) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"processes": {"web1": 2, "db1": 1}}, "VM web1 has 2 QEMUs"),
        ({"processes": {"db1": 1}}, "VM web1 has 0 QEMUs"),
        ({"sectors": SEEN.sectors}, "does not count on"),
        ({"sectors": {**COUNTED, "web1": Sector(20, 2, 0)}}, "VM web1: "),
        ({"sectors": {**COUNTED, "db1": Sector(20, 1, 1)}}, "VM db1: "),
        ({"vfs": {}}, "VF 0 is"),
        ({"drivers": {0: "vfio-pci", 1: "igbvf"}}, "VF 1 has driver igbvf"),
    ],
)
def test_what_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, target: Running, changes: dict[str, object], said: str
) -> None:
    later = replace(SEEN, **{"sectors": COUNTED, **changes})  # type: ignore[arg-type]  # of several types
    assert said in wrong(monkeypatch, target, later)


def test_kernel_and_phase(monkeypatch: pytest.MonkeyPatch, target: Running) -> None:
    later = replace(SEEN, sectors=COUNTED)
    assert "it runs new" in wrong(monkeypatch, target, later, kernel=OLD)
    assert wrong(monkeypatch, target, later, kernel=SAME) == ""
    assert "its phase is done" in wrong(monkeypatch, target, later, after=replace(SEEN, phase="done"))


def test_rows_say_when_they_strike() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert not row.at or row.command or row.cut, row.name
        assert row.name.startswith("lab_")
