# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions of network states, as people write them for nmstate."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_nmstate import from_nmstate

STAYS = "not of SR-IOV; stays with nmstate"
SRIOV = "interfaces[0] (ens1f0).ethernet.sr-iov"


def sriov(text: str, **interface: object) -> dict[str, Any]:
    """The state of one PF with this ``sr-iov`` section."""
    return {
        "interfaces": [
            {"name": "ens1f0", "type": "ethernet", "ethernet": {"sr-iov": yaml.safe_load(text)}, **interface}
        ]
    }


WHOLE_HOST = """
interfaces:
  - name: ens1f0
    type: ethernet
    state: up
    mac-address: 3C:FD:FE:00:00:01
    mtu: 9000
    ipv4: {enabled: false}
    ethernet:
      auto-negotiation: true
      sr-iov:
        drivers-autoprobe: false
        total-vfs: 64
        vfs:
          - {id: 0, mac-address: "52:54:00:AA:00:10", spoof-check: true, trust: false, vlan-id: 102, qos: 5}
          - {id: 1, trust: true, min-tx-rate: 0, max-tx-rate: 1000}
          - {id: 2, trust: true, min-tx-rate: 0, max-tx-rate: 1000}
  - name: ens1f1
    type: ethernet
    ethernet:
      sr-iov: {total-vfs: 0}
  - {name: bond0, type: bond, state: up}
  - {name: "sriov:ens1f0:2", type: ethernet, mtu: 1500}
routes:
  config: []
"""


def test_a_whole_host() -> None:
    found = from_nmstate(yaml.safe_load(WHOLE_HOST))
    assert found["document"]["pfs"] == [
        {
            "pf": "ens1f0",
            "hardware_vfs": 64,
            "present_vfs": "all",
            "drivers_autoprobe": False,
            "mtu": 9000,
            "vfs": [
                {"ids": "1-2", "trust": True, "min_tx_rate": 0, "max_tx_rate": 1000},
                {"ids": "0", "mac": "52:54:00:aa:00:10", "vlan": 102, "qos": 5, "spoofchk": True, "trust": False},
                {"ids": "2", "mtu": 1500},
            ],
        },
        {"pf": "ens1f1", "hardware_vfs": 0, "present_vfs": "none"},
    ]
    assert found["notices"] == [
        f"routes: {STAYS}",
        f"interfaces[0] (ens1f0).mac-address, ipv4, ethernet.auto-negotiation: {STAYS}",
        f"interfaces bond0: {STAYS}",
    ]


def test_a_policy_of_kubernetes() -> None:
    """A state wrapped by kubernetes-nmstate, with texts as values.

    Texts stand for numbers and truth values, as nmstate takes them.
    """
    policy = {
        "kind": "NodeNetworkConfigurationPolicy",
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": "worker1"},
            "desiredState": sriov(
                '{total-vfs: "8", drivers-autoprobe: "true", vfs: [{id: "7", spoof-check: "false"}]}'
            ),
        },
    }
    assert from_nmstate(policy) == {
        "document": {
            "pfs": [
                {
                    "pf": "ens1f0", "hardware_vfs": 8, "present_vfs": "all", "drivers_autoprobe": True,
                    "vfs": [{"ids": "7", "spoofchk": False}],
                }
            ]
        },
        "notices": ["spec.nodeSelector: not looked at; give the node's labels, or choose hosts by inventory"],
    }  # fmt: skip


# state, name of the PF in the document (None: it is not there), notices
NAMES: list[tuple[dict[str, Any], str | None, list[str]]] = [
    (sriov("total-vfs: 2"), "ens1f0", []),
    (sriov("total-vfs: 2", identifier="name"), "ens1f0", []),
    (
        sriov("total-vfs: 2", identifier="pci-address", **{"pci-address": "0000:3b:00.0"}),
        "0000:3b:00.0",
        [],
    ),
    (
        sriov("total-vfs: 2", identifier="pci-address", **yaml.safe_load("pci-address: 0000:03:00.1")),
        "0000:03:00.1",
        [],
    ),
    (
        sriov("total-vfs: 2", identifier="serial"),
        None,
        [
            "interfaces[0] (ens1f0): identifier serial is not known, so this PF is left out",
        ],
    ),
    (
        sriov("total-vfs: 2", state="absent"),
        None,
        ["interfaces[0] (ens1f0): state absent: a document has no such state, so this PF is left out"],
    ),
]


@pytest.mark.parametrize(("state", "pf", "notices"), NAMES)
def test_names_and_states(state: dict[str, Any], pf: str | None, notices: list[str]) -> None:
    found = from_nmstate(state)
    assert [one["pf"] for one in found["document"]["pfs"]] == ([] if pf is None else [pf])
    assert found["notices"] == notices


# section, the PF less its name, notices
SECTIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("{vfs: [{id: 1, trust: true}]}", {"vfs": [{"ids": "1", "trust": True}]},
     [f"{SRIOV}: without total-vfs, the number of VFs is left as it is found"]),
    ("{total-vfs: 1, vfs: []}", {"hardware_vfs": 1, "present_vfs": "all"},
     [f"{SRIOV}.vfs: an empty list resets all properties; they are left as they are found"]),
    ("{total-vfs: 0, vfs: []}", {"hardware_vfs": 0, "present_vfs": "none"}, []),
    ("{total-vfs: 1, vfs: [{id: 0, vlan-id: 5, vlan-proto: 802.1ad}]}",
     {"hardware_vfs": 1, "present_vfs": "all", "vfs": [{"ids": "0", "vlan": 5, "vlan_proto": "802.1ad"}]},
     []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pf", "notices"), SECTIONS)
def test_sections(text: str, pf: dict[str, Any], notices: list[str]) -> None:
    found = from_nmstate(sriov(text))
    assert found["document"]["pfs"] == [{"pf": "ens1f0", **pf}]
    assert found["notices"] == notices


# state, the message
WRONG: list[tuple[object, str]] = [
    (None, "network state: the key 'interfaces' is missing; its keys are none"),
    ({"network": {}}, "network state: the key 'interfaces' is missing; its keys are network"),
    ([], "network state: the key 'interfaces' is missing; its keys are none"),
    ({"interfaces": {}}, "interfaces: {} is not a list"),
    (
        sriov("{total-vf: 2}"),
        f"{SRIOV}.total-vf: unknown key; known keys: total-vfs, drivers-autoprobe, vfs",
    ),
    (sriov("{total-vfs: 65536}"), f"{SRIOV}.total-vfs: 65536 is out of range: no PF has more than 65535 VFs"),
    (
        sriov("{total-vfs: 2}", name=False),
        "interfaces[0] (False).name: false is not the name of an interface; write it in quotes",
    ),
    (
        [sriov("{total-vfs: 2}"), {"kind": "NMStateConfig", "spec": {"config": sriov("{total-vfs: 3}")}}],
        f"NMStateConfig 1: {SRIOV}.total-vfs: 3 contradicts network state: {SRIOV}.total-vfs: 2; keep one of them",
    ),
    (sriov("{total-vfs: many}"), f"{SRIOV}.total-vfs: 'many' is not a whole number from 0 on"),
    (sriov("{total-vfs: 2, vfs: [{trust: true}]}"), f"{SRIOV}.vfs[0].id is missing; write the id of the VF"),
    (
        sriov("{total-vfs: 2, vfs: [{id: 2, trust: true}]}"),
        f"{SRIOV}.vfs[0].trust: VF 2 is not among the 2 VFs of {SRIOV}.total-vfs",
    ),
    (
        sriov("{vfs: [{id: 1, trust: true}, {id: 1, trust: false}]}"),
        f"{SRIOV}.vfs[1].trust: false contradicts {SRIOV}.vfs[0].trust: true; keep one of them",
    ),
    (sriov("{vfs: [{id: 1, qos: 3}]}"), f"{SRIOV}.vfs[0].qos: 3 needs a vlan from 1 to 4094 beside it"),
    (
        sriov("{vfs: [{id: 1, mac-address: [525400]}]}"),
        f"{SRIOV}.vfs[0].mac-address: [525400] is not a MAC address; write it in quotes",
    ),
    (
        sriov("{vfs: [{id: 1, vlan-proto: 802.1x}]}"),
        f"{SRIOV}.vfs[0].vlan-proto: '802.1x' is not one of 802.1q, 802.1ad",
    ),
    (sriov("{total-vfs: 2}", name=None), "interfaces[0] (None).name is missing; write the name of the interface"),
    (
        sriov("{total-vfs: 2}", identifier="pci-address"),
        "interfaces[0] (ens1f0).pci-address: null is not a PCI address; write it like '0000:3b:00.0'",
    ),
    (
        {"interfaces": [*sriov("{total-vfs: 2}")["interfaces"], *sriov("{total-vfs: 3}")["interfaces"]]},
        "interfaces[1] (ens1f0).ethernet.sr-iov.total-vfs: 3 contradicts "
        f"{SRIOV}.total-vfs: 2; keep one of them",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("state", "message"), WRONG)
def test_wrong_input_names_the_path(state: object, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        from_nmstate(state)
    assert str(caught.value) == message


VF2: dict[str, Any] = {"interfaces": [{"name": "ens1f0", "ethernet": {"sr-iov": {"total-vfs": 2}}}]}
VF4: dict[str, Any] = {"interfaces": [{"name": "ens1f0", "ethernet": {"sr-iov": {"total-vfs": 4}}}]}


def node(name: str, state: object) -> dict[str, Any]:
    return {"kind": "NodeNetworkState", "metadata": {"name": name}, "status": {"currentState": state}}


AGENT = {
    "kind": "AgentConfig",
    "hosts": [{"hostname": "a.example", "networkConfig": VF2}, {"hostname": "b.example", "networkConfig": VF4}],
}
# shape of a file, host, its number of VFs
SHAPES: list[tuple[object, str | None, int]] = [
    (node("a", VF2), None, 2),
    ([node("a", VF2), node("b", VF4)], "b", 4),
    ({"kind": "List", "items": [node("a.example", VF2), node("b.example", VF4)]}, "b", 4),
    (AGENT, "b.example", 4),
    (AGENT, "a", 2),
    ({"kind": "NMStateConfig", "metadata": {"name": "x"}, "spec": {"config": VF4}}, None, 4),
    ([{"kind": "NodeNetworkConfigurationPolicy", "spec": {"desiredState": VF4}}, None], "a", 4),
    ({"desiredState": VF4}, None, 4),
    ({"platform": {"baremetal": {"hosts": [{"name": "a", "networkConfig": VF4}]}}}, None, 4),
    ([[VF4]], None, 4),
]


@pytest.mark.parametrize(("data", "host", "number"), SHAPES)
def test_shapes_of_files(data: object, host: str | None, number: int) -> None:
    found = from_nmstate(data, host=host)
    assert found["document"]["pfs"] == [{"pf": "ens1f0", "hardware_vfs": number, "present_vfs": "all"}]


@pytest.mark.parametrize("host", [None, "c"])
def test_hosts_that_are_not_told_apart(host: str | None) -> None:
    with pytest.raises(BadInputError, match=r"^this is of 2 hosts, a\.example, b\.example, and .*give its name"):
        from_nmstate(AGENT, host=host)


def test_policies_for_labels() -> None:
    policies = [
        {"spec": {"nodeSelector": {"role": role}, "desiredState": state}} for role, state in (("x", VF2), ("y", VF4))
    ]
    assert from_nmstate(policies, labels={"role": "y"})["document"]["pfs"][0]["hardware_vfs"] == 4


def test_a_pf_by_its_mac_address() -> None:
    interface = {"name": "p", "identifier": "mac-address", "mac-address": "02:00:00:00:00:0A", **VF2["interfaces"][0]}
    found = from_nmstate({"interfaces": [interface]})
    assert (found["document"]["pfs"][0]["pf"], found["notices"]) == ({"mac": "02:00:00:00:00:0a"}, [])


@pytest.mark.parametrize(
    "interface", [{"sr-iov": {"total-vfs": 2}}, {"sriov": {}}, {"ethernet": {"sriov": {}}}, {"total-vfs": 2}]
)
def test_keys_at_another_place_are_named(interface: dict[str, Any]) -> None:
    found = from_nmstate({"interfaces": [{"name": "ens1f0", **interface}]})
    assert found["document"]["pfs"] == []
    (notice,) = found["notices"]
    assert "of SR-IOV, but ignored, as it is not where nmstate reads it: ethernet.sr-iov of the interface" in notice


@pytest.mark.parametrize("key", [5, True, None, 1.5])
def test_keys_that_are_no_text(key: object) -> None:
    """YAML reads some as numbers, flags or nothing."""
    interface = {"name": "ens1f0", key: 4, "ethernet": {"sr-iov": {"total-vfs": 2}, key: 1}}
    found = from_nmstate({"interfaces": [interface], key: 1})
    assert found["document"]["pfs"][0]["hardware_vfs"] == 2
    assert any(str(key).lower() in notice for notice in found["notices"])


@pytest.mark.parametrize("value", [None, VF2])
def test_a_host_without_a_state_gets_none_of_another(value: object) -> None:
    agent = {"hosts": [{"hostname": "a", "networkConfig": VF4}, {"hostname": "b", "networkConfig": value}]}
    found = from_nmstate(agent, host="b")["document"]["pfs"]
    assert [pf["hardware_vfs"] for pf in found] == ([2] if value else [])


@pytest.mark.parametrize(("value", "label"), [(True, "true"), (False, "false"), (None, ""), (5, "5")])
def test_labels_as_yaml_reads_them(value: object, label: str) -> None:
    policy = {"spec": {"nodeSelector": {"role": value}, "desiredState": VF2}}
    assert from_nmstate(policy, labels={"role": label})["document"]["pfs"]
    assert not from_nmstate(policy, labels={"other": label})["document"]["pfs"]


@pytest.mark.parametrize("kind", ["ConfigMap", "Namespace", "SriovNetworkNodePolicy"])
def test_objects_of_other_kinds_are_named(kind: str) -> None:
    found = from_nmstate([VF2, {"kind": kind, "metadata": {"name": "x"}, "spec": {"numVfs": 4}}])
    assert found["document"]["pfs"][0]["hardware_vfs"] == 2
    assert found["notices"] == [f"{kind} x: not of nmstate, so not carried over"]


def test_the_interface_of_a_vf_is_called_so() -> None:
    interface = {"name": "sriov:ens1f0:1", "type": "ethernet", "mac-address": "02:00:00:00:00:01", "ipv4": {}}
    assert from_nmstate({"interfaces": [interface]}) == {
        "document": {"pfs": []},
        "notices": ["interfaces[0] (sriov:ens1f0:1).mac-address, ipv4: of the interface of VF 1; stays with nmstate"],
    }


def test_misplaced_keys_beside_a_section_are_named() -> None:
    interface = {"name": "a", "vfs": [], "ethernet": {"sr-iov": {"total-vfs": 2}, "sriov": {}}, "ipv4": {}}
    words = "of SR-IOV, but ignored, as it is not where nmstate reads it: ethernet.sr-iov of the interface"
    assert from_nmstate({"interfaces": [interface]})["notices"] == [
        f"interfaces[0] (a).vfs: {words}",
        f"interfaces[0] (a).ethernet.sriov: {words}",
        f"interfaces[0] (a).ipv4: {STAYS}",
    ]


# a state, the path of what is of SR-IOV in it
ELSEWHERE: list[tuple[dict[str, Any], str]] = [
    ({"interfaces": [], "sr-iov": {"total-vfs": 2}}, "sr-iov"),
    ({"interfaces": [], "dns": VF2}, "dns.interfaces[0].ethernet.sr-iov"),
    ({"interfaces": [{"name": "b", "bond": {"sr-iov": 1}}]}, "interfaces[0] (b).bond.sr-iov"),
]


@pytest.mark.parametrize(("state", "path"), ELSEWHERE)
def test_keys_of_sriov_in_other_places_are_named(state: dict[str, Any], path: str) -> None:
    words = "of SR-IOV, but not carried over from this place; declare it by hand"
    assert f"{path}: {words}" in from_nmstate(state)["notices"]
