# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrivals of PFs on a booting host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import boot
from tests.fake.linux.host import FakeHost
from tests.fake.linux.users import put

A, B, C, NVME = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0", "0000:10:00.0"
VLAN = [{"ids": "none", "vlan": 1}]


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.igb(A)
    host.igb(B, "eth1")
    host.nvme(NVME)
    return host


def arrivals(host: FakeHost, *specs: dict[str, Any], last: bool = False) -> tuple[list[str], list[str], list[str]]:
    found = boot.read_arrivals(host.sysfs, host.run, validate({"pfs": list(specs)}), last)
    return [str(one.spec.pf) for one in found.ready], [one.text for one in found.missing], list(found.possible)


# spec, what is ready, what is missing; all PFs are there
THERE: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"pf": A}, [A], []),
    ({"pf": "eth1"}, [B], []),
    ({"pf": "uplink"}, [B], []),
    ({"pf": "eth7"}, [], ["PF eth7"]),
    ({"pf": "0000:99:00.0"}, [], ["PF 0000:99:00.0"]),
    ({"pf": {"class": "nvme"}}, [NVME], []),
    ({"pf": {"driver": "igb", "index": 1}}, [B], []),
    ({"pf": {"driver": "igb", "all": True}}, [A, B], []),
    ({"pf": {"driver": "ice"}}, [], ["PF {driver: ice}"]),
    ({"pf": {"driver": "igb", "index": 2}}, [], ["PF {driver: igb, index: 2}"]),
    ({"pf": {"driver": "igb"}}, ["{driver: igb}"], []),
    ({"pf": NVME, "vfs": VLAN}, [], [f"the network interface of PF {NVME}"]),
    ({"pf": NVME, "mtu": 9000}, [], [f"the network interface of PF {NVME}"]),
    ({"pf": {"netdev": "eth*", "all": True}, "vfs": VLAN}, [A, B], []),
]


@pytest.mark.parametrize(("spec", "ready", "missing"), THERE)
def test_what_is_there(host: FakeHost, spec: dict[str, Any], ready: list[str], missing: list[str]) -> None:
    host.pfs[B].altname = "uplink"
    assert arrivals(host, spec) == (ready, missing, [])


WHICH = "what tells which one PF {driver: igb, index: %d} is: the driver of " + B
DRIVER = f"the driver of PF {B}"
NVME_WITH_IGB = {"driver": "igb", "class": "nvme"}
# selector, what is missing, what is ready at first and at last; B and the NVMe PF have no driver yet, C has
LATE: list[tuple[dict[str, Any], list[str], list[str], list[str]]] = [
    ({"vendor": "8086", "index": 0}, [], [A], [A]),
    ({"vendor": "8086", "index": 1}, [DRIVER], [], []),
    ({"vendor": "8086", "index": 2}, [], [C], [C]),
    ({"vendor": "8086", "all": True}, [DRIVER], [A, C], [A, C]),
    ({"driver": "igb", "netdev": "eth0"}, [], [], [A]),
    ({"driver": "igb", "netdev": "eth0", "numa_node": 1}, ["PF {numa_node: 1, driver: igb, netdev: eth0}"], [], []),
    ({"driver": "igb", "all": True}, [], [A, C], [A, C]),
    ({"driver": "igb", "index": 0}, [], [A], [A]),
    ({"driver": "igb", "index": 1}, [WHICH % 1], [], []),
    ({"driver": "igb", "index": 2}, ["PF {driver: igb, index: 2}"], [], []),
    (NVME_WITH_IGB, ["PF {class: 0x010802, driver: igb}"], [], []),
]


@pytest.mark.parametrize(("selector", "missing", "ready", "at_last"), LATE)
def test_selectors_while_drivers_are_late(
    host: FakeHost, selector: dict[str, Any], missing: list[str], ready: list[str], at_last: list[str]
) -> None:
    """No choice among PFs that may still change.

    None of several is chosen while another may turn out to be meant; an index does not depend on which PF is there
    first.
    """
    host.igb(C, "eth2")
    host.pfs[B].driver = host.pfs[NVME].driver = host.pfs[B].netdev = None
    host.draw()
    assert arrivals(host, {"pf": selector})[:2] == (ready, missing)
    assert arrivals(host, {"pf": selector}, last=True)[:2] == (at_last, missing)


def test_possible_pfs_are_named(host: FakeHost) -> None:
    host.pfs[B].driver = None
    host.draw()
    assert arrivals(host, {"pf": {"driver": "igb"}}) == ([], [], [B])
    assert arrivals(host, {"pf": NVME_WITH_IGB})[2] == []
    assert arrivals(host, {"pf": {"driver": "igb", "all": True}}) == ([A], [], [B])


# spec, is udev waited for?
NAMES: list[tuple[dict[str, Any], bool]] = [
    ({"pf": "eth0"}, True),
    ({"pf": {"netdev": "eth0"}}, True),
    ({"pf": A, "vfs": VLAN}, True),
    ({"pf": A}, False),
    ({"pf": {"vendor": "8086", "index": 0}}, False),
]


@pytest.mark.parametrize(("spec", "waits"), NAMES)
def test_names_hold_when_udev_has_been_there(host: FakeHost, spec: dict[str, Any], waits: bool) -> None:
    """Names of interfaces that udev has not set yet.

    Before, eth0 may be another card's name tomorrow; where no udev runs, names are what they are.
    """
    assert arrivals(host, spec)[0] == [A]
    put(host, "run/udev/control")
    assert arrivals(host, spec)[:2] == (([], [f"udev's name for the interface of {A}"]) if waits else ([A], []))
    put(host, "run/udev/data/n2")
    assert arrivals(host, spec)[0] == [A]


def test_an_interface_renamed_while_it_is_read(host: FakeHost) -> None:
    put(host, "run/udev/control")
    (host.root / f"sys/bus/pci/devices/{A}/net/eth0/ifindex").unlink()
    assert arrivals(host, {"pf": "eth0"})[0] == []
