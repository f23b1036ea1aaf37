# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of VFs as `ip` prints and takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.link import Link
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import ip, ip_syntax

PLAIN: dict[str, Any] = {"vf": 6, "link_type": "ether", "address": "02:00:00:00:00:06"}

UNTAGGED = VfProperties(vlan=0, qos=0, vlan_proto="802.1q")
IB = {"vf": 6, "link_type": "infiniband", "address": "00:00:00:08:fe:80:00:00:00:00:00:00:52:54:00:c0:fe:12:34:55"}

# an entry of vfinfo_list, what it means
VFINFO: list[tuple[dict[str, Any], VfProperties]] = [
    (PLAIN, UNTAGGED._replace(mac="02:00:00:00:00:06")),
    ({**PLAIN, "vlan_list": [{}]}, UNTAGGED._replace(mac="02:00:00:00:00:06")),
    (
        {**PLAIN, "vlan_list": [{"vlan": 100, "qos": 3}], "rate": {"max_tx": 1000, "min_tx": 0}, "spoofchk": True,
         "link_state": "enable", "trust": False, "query_rss_en": False},
        VfProperties(
            "02:00:00:00:00:06", 100, 3, spoofchk=True, trust=False, link_state="enable", min_tx_rate=0,
            max_tx_rate=1000, vlan_proto="802.1q", query_rss=False,
        ),
    ),
    (
        {**PLAIN, "vlan_list": [{"vlan": 7, "protocol": "802.1ad"}], "query_rss_en": True},
        VfProperties("02:00:00:00:00:06", 7, 0, vlan_proto="802.1ad", query_rss=True),
    ),
    (
        {**PLAIN, "vlan": 7, "qos": 1, "spoofchk": "on"},
        VfProperties(PLAIN["address"], 7, 1, spoofchk=True, vlan_proto="802.1q"),
    ),
    (
        {**PLAIN, "spoofchk": "off", "trust": "maybe", "query_rss_en": 7},
        UNTAGGED._replace(mac=PLAIN["address"], spoofchk=False),
    ),
    ({"vf": 6, "mac": "AA:00:00:00:00:06"}, UNTAGGED._replace(mac="aa:00:00:00:00:06")),
    ({"vf": 6, "link_state": 2}, UNTAGGED._replace(link_state="disable")),
    (
        {**IB, "node guid": "00:11:22:33:44:55:66:AA", "port guid": "00:00:00:00:00:00:00:00"},
        UNTAGGED._replace(node_guid="00:11:22:33:44:55:66:aa", port_guid="00:00:00:00:00:00:00:00"),
    ),
]  # fmt: skip


def says(output: str) -> Run:
    def run(argv: Sequence[str]) -> str:
        assert argv[:2] == ["ip", "-json"]
        return output

    return run


@pytest.mark.parametrize(("vfinfo", "expected"), VFINFO)
def test_read(vfinfo: dict[str, Any], expected: VfProperties) -> None:
    output = json.dumps([{}, {"ifname": "eth0", "vfinfo_list": [vfinfo]}])
    assert ip.read_link(says(output), "eth0")[1] == {6: expected}


def test_read_without_vfs() -> None:
    assert ip.read_link(says('[{"ifname": "eth0"}]'), "eth0")[1] == {}


@pytest.mark.parametrize(
    "output",
    [
        "",
        "[]",
        "[{}]",
        "{}",
        "7",
        "[7]",
        '["eth0"]',
        '[{"min_mtu": 68}]',
        '[{"ifname": "eth0", "vfinfo_list": 7}]',
        '[{"ifname": "eth0", "min_mtu": "x"}]',
    ],
)
def test_read_what_ip_does_not_say(output: str) -> None:
    """An error, not an interface without VFs.

    Otherwise an undo could not know the previous state.
    """
    with pytest.raises(
        SriovError, match=r"'ip -json -details link show dev eth0' did not (tell of eth0|answer in JSON)"
    ):
        ip.read_link(says(output), "eth0")


def test_read_garbage() -> None:
    with pytest.raises(SriovError, match="'ip -json -details link show dev eth0' did not answer in JSON"):
        ip.read_link(says("6: eth0: <BROADCAST>"), "eth0")


# an entry of `ip -json -details link`, what it means
LINKS: list[tuple[dict[str, Any], Link]] = [
    (
        {"ifname": "eth0", "link_type": "ether", "address": "52:54:00:00:00:01", "min_mtu": 68, "max_mtu": 9216},
        Link("ether", "52:54:00:00:00:01", 68, 9216),
    ),
    (
        {"link_type": "ether", "address": "52:54:00:00:00:01", "permaddr": "00:1B:21:AA:BB:CC"},
        Link("ether", "00:1b:21:aa:bb:cc"),
    ),
    ({"link_type": "infiniband", "max_mtu": 2044}, Link("infiniband", None, 0, 2044)),
]


@pytest.mark.parametrize(("entry", "expected"), LINKS)
def test_link(entry: dict[str, Any], expected: Link) -> None:
    assert ip.read_link(says(json.dumps([{}, {"ifname": "eth0", **entry}])), "eth0") == (expected, {})


def test_netdev_of() -> None:
    assert ip.netdev_of(says('[{"ifname": "eth0", "altnames": ["uplink"]}]'), "uplink") == "eth0"
    with pytest.raises(ToolError, match="no such interface"):
        ip.netdev_of(says("[]"), "uplink")


FOUND = VfProperties(
    "02:00:00:00:00:06", 100, 3, spoofchk=True, trust=False, link_state="auto", min_tx_rate=0, max_tx_rate=500
)

# differences to write, words after "ip link set dev eth0 vf 6"
SET = [
    (VfProperties(mac="02:00:00:00:00:07"), "mac 02:00:00:00:00:07"),
    (VfProperties(vlan=7), "vlan 7 qos 3"),
    (VfProperties(qos=0), "vlan 100 qos 0"),
    (VfProperties(vlan=0, qos=0), "vlan 0 qos 0"),
    (VfProperties(min_tx_rate=100), "max_tx_rate 500 min_tx_rate 100"),
    (VfProperties(spoofchk=False, trust=True), "spoofchk off trust on"),
    (VfProperties(link_state="disable"), "state disable"),
    (VfProperties(vlan=0), "vlan 0 qos 0"),
    (VfProperties(vlan_proto="802.1ad"), "vlan 100 qos 3 proto 802.1ad"),
    (VfProperties(vlan=5, vlan_proto="802.1q"), "vlan 5 qos 3"),
    (VfProperties(query_rss=True), "query_rss on"),
    (VfProperties(node_guid="00:00:00:00:00:00:00:01"), "node_guid 00:00:00:00:00:00:00:01"),
]


@pytest.mark.parametrize(("wanted", "words"), SET)
def test_set(wanted: VfProperties, words: str) -> None:
    assert " ".join(ip_syntax.set_argv("eth0", 6, wanted, FOUND)) == f"ip link set dev eth0 vf 6 {words}"


def test_differences() -> None:
    spec = VfProperties(mac="02:00:00:00:00:06", vlan=7, trust=False)
    assert spec.missing_in(FOUND) == VfProperties(vlan=7)
    assert not FOUND.missing_in(FOUND)
    assert FOUND.only(VfProperties(vlan=1)) == VfProperties(vlan=100)
    assert FOUND.without_defaults() == VfProperties("02:00:00:00:00:06", 100, 3, spoofchk=True, max_tx_rate=500)


def test_parts_are_one_netlink_attribute_each() -> None:
    wanted = VfProperties("02:00:00:00:00:07", vlan=7, spoofchk=False, max_tx_rate=9, query_rss=True)
    parts = ip_syntax.set_parts("eth0", 6, wanted, FOUND)
    assert [(given.to_dict(), " ".join(argv[7:])) for given, argv in parts] == [
        ({"mac": "02:00:00:00:00:07"}, "mac 02:00:00:00:00:07"),
        ({"vlan": 7}, "vlan 7 qos 3"),
        ({"max_tx_rate": 9}, "max_tx_rate 9 min_tx_rate 0"),
        ({"spoofchk": False}, "spoofchk off"),
        ({"query_rss": True}, "query_rss on"),
    ]
    whole = ip_syntax.set_argv("eth0", 6, wanted, FOUND)
    assert whole[7:] == [word for _given, argv in parts for word in argv[7:]]


def test_several_interfaces_by_one_start() -> None:
    """One program for several interfaces.

    Others, such as those of VFs, are not parsed; an interface that is not shown is read by itself.
    """
    entries = [{}, {"ifname": "eth0", "address": "02:00:00:00:00:01", "vfinfo_list": [{"vf": 3, "vlan": 7}]}]
    asked: list[list[str]] = []

    def run(argv: Sequence[str]) -> str:
        asked.append(list(argv))
        return json.dumps([*entries, {"ifname": "eth0v3", "vfinfo_list": "never looked at"}])

    found = ip.read_links(run, {"eth0", "eth1"})
    assert list(found) == ["eth0"]
    assert (found["eth0"][0].permanent, found["eth0"][1][3].vlan) == ("02:00:00:00:00:01", 7)
    assert asked == [["ip", "-json", "-details", "link", "show"]]


def test_a_dump_that_fails_is_none() -> None:
    def run(argv: Sequence[str]) -> str:
        raise ToolError(argv, 2, "RTNETLINK answers: Message too long")

    assert ip.read_links(run, {"eth0", "eth1"}) == {}


def test_a_dump_that_is_no_json_is_none() -> None:
    """No answer, as single interfaces may have a good one."""
    assert ip.read_links(lambda _argv: '[{"ifname": "eth0', ["eth0"]) == {}
