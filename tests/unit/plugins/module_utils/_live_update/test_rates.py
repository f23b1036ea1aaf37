# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rates of VFs, and PFs whose port has no carrier yet."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import interface_link
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import rates, resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import PROPERTIES, jump, live, result

CARRIER = "/sys/class/net/eth0/carrier"


@pytest.fixture
def limited(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> FakePf:
    """VM web1 with rates, at a driver that takes none without carrier."""
    pf = node.igb()
    pf.rejects = {}
    node.vm("web1", pf, 6, **PROPERTIES, max_tx_rate=500, min_tx_rate=10)
    node.put(CARRIER, "1\n")
    monkeypatch.setattr(rates, "CARRIER_S", 5.0)
    monkeypatch.setattr(interface_link, "CARRIER_S", 0.2)  # here `ip` sets no port up

    def driver(words: list[str]) -> None:
        rate = {"max_tx_rate", "min_tx_rate", "rate"} & set(words)
        if words[:3] == ["ip", "link", "set"] and rate and (node.host.root / CARRIER[1:]).read_text() == "0\n":
            raise ToolError(words, 2, "RTNETLINK answers: Invalid argument")

    node.on_run = driver
    return pf


def test_a_vm_does_not_wait_for_carrier(node: FakeNode, limited: FakePf) -> None:
    jump(node)
    node.put(CARRIER, "0\n")
    log, seen = node.live.log, []

    def heard(text: str) -> None:
        if text == "VM web1: restored":
            seen.append(dict(limited.properties[6]))
            node.put(CARRIER, "1\n")
        log(text)

    object.__setattr__(node.live, "log", heard)
    assert resume.resume(node.live) == "done"
    assert {name: seen[0][name] for name in PROPERTIES} == PROPERTIES
    assert (seen[0]["max_tx_rate"], seen[0]["min_tx_rate"]) == (0, 0)
    assert (limited.properties[6]["max_tx_rate"], limited.properties[6]["min_tx_rate"]) == (500, 10)
    assert live(node).status == "running"


def test_a_port_that_stays_without_carrier(node: FakeNode, limited: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "CARRIER_S", 0.2)
    jump(node)
    node.put(CARRIER, "0\n")
    assert resume.resume(node.live) == "failed"
    assert result(node)["error"] == f"PF {limited.address} lacks rates of VFs 6: its port has no carrier"
    assert live(node).status == "running"


def test_an_interface_below_another_device(node: FakeNode, limited: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """As virtio-net and drivers on the auxiliary bus have it."""
    monkeypatch.setattr(rates, "CARRIER_S", 0.2)
    limited.below = "virtio3"
    node.host.draw()
    jump(node)
    node.put(CARRIER, "0\n")
    assert resume.resume(node.live) == "failed"
    assert ["ip", "link", "set", "dev", "eth0", "up"] in node.calls
    assert result(node)["error"] == f"PF {limited.address} lacks rates of VFs 6: its port has no carrier"
    assert live(node).status == "running"


def test_with_carrier_rates_are_there_before_the_vm(node: FakeNode, limited: FakePf) -> None:
    jump(node)
    assert resume.resume(node.live) == "done"
    assert node.plugged[-1][2]["max_tx_rate"] == 500


def test_a_driver_that_takes_rates_without_carrier(node: FakeNode, limited: FakePf) -> None:
    node.on_run = lambda words: None
    jump(node)
    node.put(CARRIER, "0\n")
    assert resume.resume(node.live) == "done"
    assert node.plugged[-1][2]["max_tx_rate"] == 500


@pytest.mark.parametrize("carrier", ["0", "1"])
def test_what_is_no_matter_of_rates_keeps_the_vm_stopped(node: FakeNode, limited: FakePf, carrier: str) -> None:
    jump(node)
    node.put(CARRIER, f"{carrier}\n")
    limited.ignores = frozenset({"vlan"})
    assert resume.resume(node.live) == "failed"
    assert "it stays stopped" in result(node)["vms"][0]["error"]
    assert node.live_vm("web1") is None


def test_a_vm_without_rates_is_not_held_up(node: FakeNode, limited: FakePf) -> None:
    limited.properties[6].update(max_tx_rate=0, min_tx_rate=0)
    jump(node)
    node.put(CARRIER, "0\n")
    assert resume.resume(node.live) == "done"
    assert not any("carrier" in line for line in node.log)
