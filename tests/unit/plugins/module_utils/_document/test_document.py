# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host document: validation, refusals, and resolved names."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.resolve import resolve
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState

IGB = PfState("0000:03:00.0", total=7, enabled=4, netdev="eth0")
NVME = PfState("0000:04:00.0", total=8, enabled=0)
STATES = {pf.address: pf for pf in (IGB, NVME)}

FULL = {
    "pfs": [
        {
            "pf": "0000:03:00.0",
            "hardware_vfs": 7,
            "present_vfs": "0-1,6",
            "drivers_autoprobe": False,
            "allow_disruptive": True,
            "vfs": [
                {"ids": "all", "driver": "vfio-pci"},
                {
                    "ids": "6",
                    "mac": "02:00:00:00:00:06",
                    "vlan": 100,
                    "qos": 3,
                    "spoofchk": True,
                    "trust": False,
                    "link_state": "auto",
                    "min_tx_rate": 0,
                    "max_tx_rate": 1000,
                    "vlan_proto": "802.1ad",
                    "query_rss": True,
                    "node_guid": "02:00:00:00:00:00:00:01",
                    "port_guid": "02:00:00:00:00:00:00:02",
                    "msix_vectors": 16,
                    "mtu": 9000,
                },
                {"ids": "0-2", "mac": "hash"},
                {"ids": "3-5", "mac": "02:00:00:00:10:00+id"},
            ],
        },
        {"pf": "eth1", "hardware_vfs": "max", "present_vfs": "all", "eswitch_mode": "switchdev", "mtu": 9000},
        {"pf": "eth2", "hardware_vfs": {"at_most": 16}, "vfs": [{"ids": "all", "vlan": "100+id", "qos": 1}]},
        {"pf": {"driver": "ice", "not": [{"netdev": "eth9"}], "all": True}},
        {"pf": {"vendor": "0x8086", "class": "0x02", "numa_node": 1, "index": 0}},
        {"pf": {"driver": "ice", "all": True}, "mtu": 9000, "vfs": [{"ids": "all", "mac": "hash", "vlan": 5}]},
    ]
}


def test_full_document_comes_back() -> None:
    assert validate(FULL).to_dict() == FULL


def test_null_counts_as_omitted() -> None:
    """Null from modules, for options that were not given."""
    assert validate({"pfs": [{"pf": "a", "hardware_vfs": None, "vfs": None}]}) == validate({"pfs": [{"pf": "a"}]})


@pytest.mark.parametrize(("value", "number"), [(3, 3), ("3", 3), ("max", "max"), (0, 0), ("0", 0)])
def test_hardware_vfs(value: object, number: object) -> None:
    assert validate({"pfs": [{"pf": "a", "hardware_vfs": value}]}).pfs[0].hardware_vfs == number


def pf(**keys: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return {"pfs": [{"pf": "a", **keys}]}


def vf(**keys: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return pf(vfs=[{"ids": 1, **keys}])


# document, words of the message
BAD: list[tuple[Any, str]] = [
    ([], "host document: [] is not a mapping with the keys schema, pfs"),
    ({}, "the key 'pfs' is missing"),
    ({"pf": []}, "host document.pf: unknown key; did you mean 'pfs'?"),
    ({"pfs": {}}, "pfs: {} is not a list"),
    ({"pfs": [3]}, "pfs[0]: 3 is not a mapping"),
    ({"pfs": [{}]}, "pfs[0].pf is missing; write it like '0000:3b:00.0', in quotes, or {driver: ice, index: 0}"),
    ({"pfs": [{"pf": " "}]}, "pfs[0].pf: ' ' is neither a PCI address like '0000:3b:00.0' nor the name of a"),
    (pf(pf={"drivr": "ice"}), "pfs[0].pf.drivr: unknown key; did you mean 'driver'?"),
    (
        pf(pf={"driver": "ice", "all": True}, vfs=[{"ids": 0, "mac": "02:00:00:00:00:01"}]),
        "pfs[0].pf.all: mac 02:00:00:00:00:01 cannot be given to VFs of several PFs; name each PF, or give 'hash'",
    ),
    (
        pf(
            pf={"driver": "ice", "all": True},
            vfs=[{"ids": 1, "vlan": 3}, {"ids": "all", "mac": "02:00:00:00:00:01+id"}],
        ),
        "pfs[0].pf.all: mac 02:00:00:00:00:01+id cannot be given to VFs of several PFs; name each PF, or give 'hash'",
    ),
    (
        pf(pf={"driver": "ice", "all": True}, vfs=[{"ids": 0, "port_guid": "02:00:00:00:00:00:00:01"}]),
        "pfs[0].pf.all: port_guid 02:00:00:00:00:00:00:01 cannot be given to VFs of several PFs; name each PF",
    ),
    (pf(hardware_vf=3), "pfs[0].hardware_vf: unknown key; did you mean 'hardware_vfs'?"),
    (
        pf(zzz=3),
        "pfs[0].zzz: unknown key; known keys: pf, hardware_vfs, present_vfs, drivers_autoprobe, eswitch_mode, mtu, "
        "link, vfs, allow_",
    ),
    (pf(allow_disruptive=2), "pfs[0].allow_disruptive: 2 is not true or false"),
    (pf(hardware_vfs=-1), "pfs[0].hardware_vfs: -1 is not a number"),
    (pf(hardware_vfs=True), "pfs[0].hardware_vfs: true is not a number"),
    (pf(hardware_vfs=65536), "pfs[0].hardware_vfs: 65536 is not a number"),
    (pf(hardware_vfs={"at_most": -1}), "pfs[0].hardware_vfs.at_most: -1 is not a whole number from 0 to 65535"),
    (pf(hardware_vfs={}), "pfs[0].hardware_vfs.at_most: null is not a whole number"),
    (pf(hardware_vfs={"atmost": 1}), "pfs[0].hardware_vfs.atmost: unknown key; did you mean 'at_most'?"),
    (vf(vlan="0+id"), "pfs[0].vfs[0].vlan: '0' is not a whole number from 1 to 4094"),
    (vf(vlan="x+id"), "vlan: 'x' is not a whole number"),
    (vf(mtu="1500+id"), "mtu: '1500+id' is not a whole number"),
    (pf(hardware_vfs="1.5"), "pfs[0].hardware_vfs: '1.5' is not a number"),
    (pf(present_vfs="x"), "pfs[0].present_vfs: 'x' is not a VF id"),
    (pf(drivers_autoprobe="never"), "pfs[0].drivers_autoprobe: 'never' is not true or false"),
    (pf(vfs=[{"driver": "vfio-pci"}]), "pfs[0].vfs[0].ids is missing"),
    (pf(vfs=[{"ids": 1, "vlna": 3}]), "pfs[0].vfs[0].vlna: unknown key; did you mean 'vlan'?"),
    (vf(driver="../igb"), "pfs[0].vfs[0].driver: '../igb' is not a driver's name"),
    (vf(driver=" x"), "is not a driver's name"),
    (vf(mac="01:00:00:00:00:01"), "pfs[0].vfs[0].mac: '01:00:00:00:00:01' is not a unicast MAC address"),
    (vf(mac="02:00:00:00:01"), "is not a unicast MAC address"),
    (vf(mac=7), "7 is not a unicast MAC address"),
    (vf(vlan=4095), "pfs[0].vfs[0].vlan: 4095 is not a whole number from 0 to 4094"),
    (vf(vlan="5x"), "'5x' is not a whole number"),
    (vf(qos=8, vlan=1), "qos: 8 is not a whole number from 0 to 7"),
    (vf(qos=1), "pfs[0].vfs[0].qos: 1 needs a vlan"),
    (vf(spoofchk="one"), "spoofchk: 'one' is not true or false"),
    (vf(trust=1.5), "trust: 1.5 is not true or false"),
    (vf(link_state="up"), "link_state: 'up' is not one of auto, enable, disable"),
    (vf(max_tx_rate=-1), "max_tx_rate: -1 is not a whole number"),
    (vf(min_tx_rate=5, max_tx_rate=4), "min_tx_rate: 5 is above max_tx_rate 4"),
    (pf(vfs=[{"ids": "0-1", "mac": "02:00:00:00:00:01"}]), "mac: 02:00:00:00:00:01 cannot be given to several VFs"),
    (pf(vfs=[{"ids": "all", "mac": "02:00:00:00:00:01"}]), "cannot be given to several VFs"),
    (
        pf(vfs=[{"ids": "0-1", "mac": "02:00:00:00:00:01"}]),
        "or '02:00:00:00:00:01+id' for a base that each id is added",
    ),
    (pf(vfs=[{"ids": "all", "node_guid": "02:00:00:00:00:00:00:01"}]), "node_guid: 02:00:00:00:00:00:00:01 cannot be"),
    (vf(mac="01:00:00:00:00:00+id"), "'01:00:00:00:00:00+id' is not a unicast MAC address"),
    (vf(mac="00:00:00:00:00:00+id"), "'00:00:00:00:00:00+id' starts from no address"),
    (vf(port_guid="hash"), "port_guid: 'hash' is not a GUID; write it like '02:00:00:00:00:00:00:01' or"),
    (vf(node_guid="02:00:00:00:00:01"), "'02:00:00:00:00:01' is not a GUID"),
    (vf(vlan_proto="802.1ad"), "vlan_proto: 802.1ad needs a vlan from 1 to 4094 beside it"),
    (vf(vlan_proto="802.1Q"), "vlan_proto: '802.1Q' is not one of 802.1q, 802.1ad"),
    (vf(query_rss=[]), "query_rss: [] is not true or false"),
    (vf(msix_vectors=0), "pfs[0].vfs[0].msix_vectors: 0 is not a whole number from 1 to 2048"),
    (vf(mtu=67), "pfs[0].vfs[0].mtu: 67 is not a whole number from 68 to 65535"),
    (vf(mtu="9" * 5000), "is not a whole number"),
    (pf(mtu=True), "pfs[0].mtu: true is not a whole number"),
    (pf(eswitch_mode="offload"), "pfs[0].eswitch_mode: 'offload' is not one of legacy, switchdev"),
    (pf(vfs=[{"ids": "all", "mtu": 1}, {"ids": 1, "mtu": 2}]), "mtu: 1 is not a whole number"),
    (
        pf(vfs=[{"ids": "all", "mtu": 1500}, {"ids": 1, "mtu": 1600}]),
        "vfs[1].mtu: VF ids 1 have it from vfs[0] already",
    ),
    (
        pf(vfs=[{"ids": "0-3", "vlan": 1}, {"ids": "2,9", "vlan": 2}]),
        "vfs[1].vlan: VF ids 2 have it from vfs[0] already",
    ),
    (pf(vfs=[{"ids": "all", "driver": "a"}, {"ids": "2", "driver": "b"}]), "VF ids 2 have it from vfs[0] already"),
    (pf(vfs=[{"ids": "all", "driver": "a"}, {"ids": "all", "driver": "b"}]), "VF ids all have it from vfs[0] already"),
]


@pytest.mark.parametrize(("document", "words"), BAD)
def test_validate_refuses(document: object, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        validate(document)
    assert words in str(caught.value)


def test_one_vf_may_be_in_several_sets() -> None:
    document = validate(pf(vfs=[{"ids": "0-3", "vlan": 1}, {"ids": "2", "trust": True}, {"ids": [], "vlan": 3}]))
    assert len(document.pfs[0].vfs) == 3


# spec, what it becomes
RESOLVED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"pf": "eth0", "hardware_vfs": {"at_most": 5}}, {"pf": "0000:03:00.0", "hardware_vfs": 5}),
    ({"pf": "eth0", "present_vfs": " unmanaged "}, {"pf": "0000:03:00.0", "present_vfs": "unmanaged"}),
    ({"pf": "eth0", "hardware_vfs": {"at_most": "16"}}, {"pf": "0000:03:00.0", "hardware_vfs": 7}),
    (
        {"pf": "eth0", "vfs": [{"ids": "0-3", "vlan": "4091+id"}]},
        {"pf": "0000:03:00.0", "vfs": [{"ids": "0-3", "vlan": "4091+id"}]},
    ),
    ({"pf": "eth0"}, {"pf": "0000:03:00.0"}),
    ({"pf": "uplink"}, {"pf": "0000:03:00.0"}),
    ({"pf": {"netdev": "eth*"}}, {"pf": "0000:03:00.0"}),
    ({"pf": "03:00.0"}, {"pf": "0000:03:00.0"}),
    ({"pf": "0000:04:00.0", "hardware_vfs": "max"}, {"pf": "0000:04:00.0", "hardware_vfs": 8}),
    ({"pf": "eth0", "present_vfs": "all"}, {"pf": "0000:03:00.0", "present_vfs": "0-3"}),
    (
        {"pf": "eth0", "hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": "all", "vlan": 3}]},
        {"pf": "0000:03:00.0", "hardware_vfs": 2, "present_vfs": "0-1", "vfs": [{"ids": "0-1", "vlan": 3}]},
    ),
    (
        {"pf": "eth0", "hardware_vfs": 0, "present_vfs": "all"},
        {"pf": "0000:03:00.0", "hardware_vfs": 0, "present_vfs": "none"},
    ),
]


@pytest.mark.parametrize(("spec", "expected"), RESOLVED)
def test_resolve(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    once = resolve(validate({"pfs": [spec]}), STATES, {"uplink": "eth0"})
    assert once.to_dict() == {"pfs": [expected]}
    assert resolve(once, STATES) == once


def test_all_declares_each() -> None:
    once = resolve(validate({"pfs": [{"pf": {"all": True}, "hardware_vfs": "max", "present_vfs": 2}]}), STATES)
    assert once.to_dict()["pfs"] == [
        {"pf": "0000:03:00.0", "hardware_vfs": 7, "present_vfs": "2"},
        {"pf": "0000:04:00.0", "hardware_vfs": 8, "present_vfs": "2"},
    ]


# specs, words of the message
UNRESOLVED: list[tuple[list[dict[str, Any]], str]] = [
    (
        [{"pf": "eth0", "vfs": [{"ids": "all", "vlan": "4092+id"}]}],
        "PF eth0: vfs[0].vlan: 4092+id is 4095 for VF 3, above 4094; give a lower base",
    ),
    ([{"pf": "eth1"}], "PF 'eth1' is not on this host; PFs of this host: 0000:03:00.0 (eth0), 0000:04:00.0"),
    ([{"pf": "eth0"}, {"pf": "0000:03:00.0"}], "PF 0000:03:00.0 is declared twice, as 'eth0' and '0000:03:00.0'"),
    (
        [{"pf": {"netdev": "eth*"}}, {"pf": {"all": True}}],
        "PF 0000:03:00.0 is declared twice, as '{netdev: eth*}' and '{all: true}'",
    ),
    ([{"pf": {"all": True}, "hardware_vfs": 8}], "PF 0000:03:00.0: hardware_vfs 8 is out of range"),
    ([{"pf": {"driver": "ice"}}], "PF {driver: ice} is not on this host"),
    ([{"pf": "eth0", "hardware_vfs": 8}], "PF eth0: hardware_vfs 8 is out of range: it has at most 7 VFs"),
    ([{"pf": "eth0", "present_vfs": "4"}], "PF eth0: present_vfs: 4 is out of range: the highest one is 3"),
    ([{"pf": "eth0", "vfs": [{"ids": 5, "vlan": 1}]}], "PF eth0: vfs[0].ids: 5 is out of range"),
    (
        [{"pf": "0000:04:00.0", "hardware_vfs": 2, "vfs": [{"ids": 0, "mac": "02:00:00:00:00:01", "trust": True}]}],
        "PF 0000:04:00.0: mac, trust cannot be set: it has no network interface",
    ),
    ([{"pf": "0000:04:00.0", "mtu": 9000}], "PF 0000:04:00.0: mtu cannot be set: it has no network interface"),
    (
        [{"pf": "eth0", "vfs": [{"ids": "all", "mac": "02:00:00:ff:ff:fd+id"}]}],
        "PF eth0: vfs[0].mac: 02:00:00:ff:ff:fd+id overflows with VF 3: its last 3 octets have room up to id 2",
    ),
]


@pytest.mark.parametrize(("specs", "words"), UNRESOLVED)
def test_resolve_refuses(specs: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        resolve(validate({"pfs": specs}), STATES)
    assert words in str(caught.value)


def test_empty_document_declares_nothing() -> None:
    assert resolve(validate({"pfs": []}), {}) == HostDocument()
