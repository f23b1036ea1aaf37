# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of VFs as `ip` prints and takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _netdev
from ansible_collections.kvmfleet.sriov.plugins.module_utils._errors import SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._properties import VfProperties

PLAIN = {"vf": 6, "link_type": "ether", "address": "02:00:00:00:00:06"}

# an entry of vfinfo_list, what it means
VFINFO: list[tuple[dict[str, Any], VfProperties]] = [
    (PLAIN, VfProperties(mac="02:00:00:00:00:06", vlan=0, qos=0)),
    ({**PLAIN, "vlan_list": [{}]}, VfProperties(mac="02:00:00:00:00:06", vlan=0, qos=0)),
    (
        {**PLAIN, "vlan_list": [{"vlan": 100, "qos": 3}], "rate": {"max_tx": 1000, "min_tx": 0}, "spoofchk": True,
         "link_state": "enable", "trust": False, "query_rss_en": False},
        VfProperties("02:00:00:00:00:06", 100, 3, True, False, "enable", 0, 1000),
    ),
    ({**PLAIN, "vlan": 7, "qos": 1, "spoofchk": "on"}, VfProperties("02:00:00:00:00:06", 7, 1, True)),
    ({"vf": 6, "mac": "AA:00:00:00:00:06"}, VfProperties("aa:00:00:00:00:06", 0, 0)),
    ({"vf": 6, "link_state": 2}, VfProperties(None, 0, 0, link_state="disable")),
]  # fmt: skip


def says(output: str) -> Run:
    def run(argv: Sequence[str]) -> str:
        assert argv[:2] == ["ip", "-json"]
        return output

    return run


@pytest.mark.parametrize(("vfinfo", "expected"), VFINFO)
def test_read(vfinfo: dict[str, Any], expected: VfProperties) -> None:
    output = json.dumps([{}, {"ifname": "eth0", "vfinfo_list": [vfinfo]}])
    assert _netdev.read_properties(says(output), "eth0") == {6: expected}


@pytest.mark.parametrize("output", ["", "[]", "[{}]", '[{"ifname": "eth0"}]'])
def test_read_without_vfs(output: str) -> None:
    assert _netdev.read_properties(says(output), "eth0") == {}


def test_read_garbage() -> None:
    with pytest.raises(SriovError, match="'ip -json -details link show dev eth0' did not answer in JSON"):
        _netdev.read_properties(says("6: eth0: <BROADCAST>"), "eth0")


def test_netdev_of() -> None:
    assert _netdev.netdev_of(says('[{"ifname": "eth0", "altnames": ["uplink"]}]'), "uplink") == "eth0"
    with pytest.raises(ToolError, match="no such interface"):
        _netdev.netdev_of(says("[]"), "uplink")


FOUND = VfProperties("02:00:00:00:00:06", 100, 3, True, False, "auto", 0, 500)

# differences to write, words after "ip link set dev eth0 vf 6"
SET = [
    (VfProperties(mac="02:00:00:00:00:07"), "mac 02:00:00:00:00:07"),
    (VfProperties(vlan=7), "vlan 7 qos 3"),
    (VfProperties(qos=0), "vlan 100 qos 0"),
    (VfProperties(vlan=0, qos=0), "vlan 0 qos 0"),
    (VfProperties(min_tx_rate=100), "max_tx_rate 500 min_tx_rate 100"),
    (VfProperties(spoofchk=False, trust=True), "spoofchk off trust on"),
    (VfProperties(link_state="disable"), "state disable"),
]


@pytest.mark.parametrize(("wanted", "words"), SET)
def test_set(wanted: VfProperties, words: str) -> None:
    assert " ".join(_netdev.set_argv("eth0", 6, wanted, FOUND)) == f"ip link set dev eth0 vf 6 {words}"


def test_differences() -> None:
    wish = VfProperties(mac="02:00:00:00:00:06", vlan=7, trust=False)
    assert wish.missing_in(FOUND) == VfProperties(vlan=7)
    assert not FOUND.missing_in(FOUND)
    assert FOUND.only(VfProperties(vlan=1)) == VfProperties(vlan=100)
    assert FOUND.without_defaults() == VfProperties("02:00:00:00:00:06", 100, 3, True, max_tx_rate=500)
