# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions of the sriov-network-operator's policies, for one host."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_sriov_policies import from_sriov_policies

KUBERNETES = "of Kubernetes alone; nothing on the host"
RDMA = "a driver offers RDMA or not; declare node_guid and port_guid where VFs need them"
LINK_TYPE = "it is a setting of the port's firmware; declare node_guid and port_guid of InfiniBand VFs"
HOST: list[dict[str, Any]] = [
    {"pf": "0000:3b:00.0", "netdev": "ens1f0", "vendor": "0x8086", "device": "0x1592", "altnames": ["enp59s0f0"]},
    {"pf": "0000:3b:00.1", "netdev": "ens1f1", "vendor": "0x8086", "device": "0x1592"},
    {"pf": "0000:d8:00.0", "netdev": "ens8f0np0", "vendor": "0x15b3", "device": "0x101d"},
    {"pf": "0000:5e:00.0", "netdev": None, "vendor": "0x144d", "device": "0xa824"},
]
"""The parts of a host's `sriov_info` that the converter reads."""

CLUSTER = """
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: dpdk, namespace: sriov-network-operator}
spec:
  resourceName: intel_dpdk
  nodeSelector: {feature.node.kubernetes.io/network-sriov.capable: "true"}
  priority: 10
  numVfs: 8
  mtu: 9000
  nicSelector: {vendor: "8086", deviceID: "1592", pfNames: ["ens1f0#0-3", "ens1f1#0-3"]}
  deviceType: vfio-pci
  needVhostNet: true
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: net, namespace: sriov-network-operator}
spec:
  resourceName: intel_net
  nodeSelector: {feature.node.kubernetes.io/network-sriov.capable: "true"}
  priority: 10
  numVfs: 8
  mtu: 1500
  nicSelector: {pfNames: ["ens1f0#4-7"]}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: offload, namespace: sriov-network-operator}
spec:
  resourceName: cx6_switchdev
  nodeSelector: {role: gateway}
  numVfs: 4
  nicSelector: {vendor: "15b3", rootDevices: ["0000:d8:00.0"]}
  deviceType: netdevice
  isRdma: true
  linkType: eth
  eSwitchMode: switchdev
  bridge: {ovs: {}}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: tenant, namespace: sriov-network-operator}
spec: {resourceName: intel_net, vlan: 100, spoofChk: "on"}
"""
LABELS = {"feature.node.kubernetes.io/network-sriov.capable": "true", "role": "gateway"}


def test_a_cluster_on_one_host() -> None:
    pfs = [{**pf, "mtu": 1500} for pf in HOST]
    found = from_sriov_policies(list(yaml.safe_load_all(CLUSTER)), pfs=pfs, labels=LABELS)
    dpdk = {"hardware_vfs": 8, "present_vfs": "all", "mtu": 9000}
    assert found["document"]["pfs"] == [
        {
            "pf": "0000:3b:00.0",
            **dpdk,
            "drivers_autoprobe": True,
            "vfs": [{"ids": "0-3", "driver": "vfio-pci"}, {"ids": "4-7", "driver": "default", "mtu": 1500}],
        },
        {"pf": "0000:3b:00.1", **dpdk, "vfs": [{"ids": "0-3", "driver": "vfio-pci"}]},
        {
            "pf": "0000:d8:00.0",
            "hardware_vfs": 4,
            "present_vfs": "all",
            "drivers_autoprobe": True,
            "eswitch_mode": "switchdev",
            "vfs": [{"ids": "all", "driver": "default"}],
        },
    ]
    assert found["notices"] == [
        "SriovNetwork tenant: not carried over; what pods' VFs get can be declared for the VFs",
        f"policy dpdk: spec.resourceName, needVhostNet: {KUBERNETES}",
        f"policy net: spec.resourceName: {KUBERNETES}",
        f"policy offload: spec.resourceName: {KUBERNETES}",
        f"policy offload: spec.isRdma: {RDMA}",
        f"policy offload: spec.linkType: {LINK_TYPE}",
        "policy offload: spec.bridge: Open vSwitch bridges are not made here",
        "policy net: spec.mtu: 1500 gives way to 9000 of policy dpdk: spec",
    ]


def policy(name: str = "a", /, **spec: object) -> dict[str, Any]:
    whole: dict[str, Any] = {"numVfs": 8, "nicSelector": {"pfNames": ["ens1f0"]}, "resourceName": name, **spec}
    return {"kind": "SriovNetworkNodePolicy", "metadata": {"name": name}, "spec": whole}


def converted(*policies: dict[str, Any], pfs: object = None, labels: object = None) -> tuple[list[Any], list[str]]:
    """PFs and notices of a conversion.

    The notice that every policy gets for its resource is left out.
    """
    found = from_sriov_policies(list(policies), pfs=pfs, labels=labels)
    return found["document"]["pfs"], [text for text in found["notices"] if not text.endswith(KUBERNETES)]


# selector, what is known of the host, VF ids by PF, notices
SELECTORS: list[tuple[dict[str, Any], object, dict[str, str], list[str]]] = [
    ({"pfNames": ["ens1f0", "ens1f1#2-3"]}, None, {"ens1f0": "all", "ens1f1": "2-3"}, []),
    ({"pfNames": ["ens1f0", "ens1f1#2-3"]}, HOST, {"0000:3b:00.0": "all", "0000:3b:00.1": "2-3"}, []),
    ({"pfNames": ["enp59s0f0#1-1"]}, HOST, {"0000:3b:00.0": "1"}, []),
    ({"rootDevices": ["0000:3b:00.0"]}, None, {"0000:3b:00.0": "all"}, []),
    ({"rootDevices": ["0000:3b:00.0", "0000:d8:00.0"], "vendor": "15b3"}, HOST, {"0000:d8:00.0": "all"}, []),
    ({"rootDevices": ["0000:3b:00.0"], "pfNames": ["ens1f0#0-1"]}, None, {"0000:3b:00.0": "0-1"}, []),
    ({"rootDevices": ["0000:3b:00.1"], "pfNames": ["ens1f0", "ens1f1"]}, HOST, {"0000:3b:00.1": "all"}, []),
    ({"vendor": "8086", "deviceID": "1592"}, HOST, {"0000:3b:00.0": "all", "0000:3b:00.1": "all"}, []),
    ({"deviceID": "a824"}, HOST, {"0000:5e:00.0": "all"}, []),
    (
        {"vendor": "8086", "pfNames": ["ens1f0"]}, None, {"ens1f0": "all"},
        ["vendor: not compared with the PFs; give the host's pfs"],
    ),
    (
        {"rootDevices": ["0000:3b:00.0", "0000:3b:00.1"], "pfNames": ["ens1f0"]}, None, {},
        ["which rootDevices are which pfNames is not known; they are left out; give the host's pfs"],
    ),
    ({"pfNames": ["ens9"]}, HOST, {}, ["no PF of this host fits"]),
    (
        {"pfNames": ["ens9", "ens1f0"]}, HOST, {"0000:3b:00.0": "all"}, ["pfNames: not on this host: ens9"],
    ),
    (
        {"rootDevices": ["0000:3b:00.0", "0000:01:00.0"]}, HOST, {"0000:3b:00.0": "all"},
        ["rootDevices: not on this host: 0000:01:00.0"],
    ),
    (
        {"pfNames": ["ens1f0#0-1", "enp59s0f0#2-3"]}, HOST, {"0000:3b:00.0": "0-1"},
        ["pfNames (enp59s0f0): the same PF as ens1f0, of which alone the VFs are taken"],
    ),
    ({"vendor": "8086", "pfNames": ["ens8f0np0"]}, HOST, {}, ["no PF of this host fits"]),
    (
        {"netFilter": "openstack/NetworkID:1d0a", "vendor": "8086"}, HOST, {},
        ["netFilter: it is for VFs that a cloud gives to a VM; none are made there"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("selector", "pfs", "chosen", "notices"), SELECTORS)
def test_selectors(selector: dict[str, Any], pfs: object, chosen: dict[str, str], notices: list[str]) -> None:
    found, texts = converted(policy(nicSelector=selector, deviceType="vfio-pci"), pfs=pfs)
    assert {pf["pf"]: pf["vfs"] for pf in found} == {
        pf: [{"ids": ids, "driver": "vfio-pci"}] for pf, ids in chosen.items()
    }
    where = "policy a: spec.nicSelector"
    below = ("vendor", "netFilter", "pfNames", "rootDevices")
    assert texts == [f"{where}{'.' if text.startswith(below) else ': '}{text}" for text in notices]


def test_ids_alone_without_a_host() -> None:
    pfs, texts = converted(policy(nicSelector={"vendor": "8086", "deviceID": "1592"}))
    assert [pf["pf"] for pf in pfs] == [{"vendor": "0x8086", "device": "0x1592", "all": True}]
    assert texts == []


VFIO = {"deviceType": "vfio-pci"}


def names(*texts: str) -> dict[str, Any]:
    return {"nicSelector": {"pfNames": list(texts)}}


# policies, number of VFs, drivers by ids, notices
MERGES: list[tuple[list[dict[str, Any]], int, dict[str, str], list[str]]] = [
    # the lower number matters more, whatever the order
    (
        [policy("a", priority=5, numVfs=4, **VFIO), policy("b", priority=99)], 4, {"all": "vfio-pci"},
        [
            "policy b: spec: VFs 0-7 of PF ens1f0 give way to policy a: spec",
            "policy b: spec.numVfs: 8 gives way to 4 of policy a: spec",
        ],
    ),
    (
        [policy("b", priority=99, **VFIO), policy("a", priority=5)], 8, {"all": "default"},
        ["policy b: spec: VFs 0-7 of PF ens1f0 give way to policy a: spec"],
    ),
    # parts of a PF are put together, and the larger number holds
    (
        [policy("a", **names("ens1f0#0-1"), **VFIO, numVfs=2), policy("b", **names("ens1f0#2-7"))], 8,
        {"2-7": "default", "0-1": "vfio-pci"},
        ["policy a: spec.numVfs: 2 gives way to 8 of policy b: spec"],
    ),
    (
        [policy("a", **names("ens1f0#0-1"), **VFIO, numVfs=2), policy("b", **names("ens1f0#2-7"), priority=50)], 8,
        {"2-7": "default", "0-1": "vfio-pci"},
        ["policy a: spec.numVfs: 2 gives way to 8 of policy b: spec"],
    ),
    # of overlapping parts the whole lesser one goes
    (
        [policy("a", **names("ens1f0#0-3"), **VFIO), policy("b", **names("ens1f0#3-7"), priority=50)], 8,
        {"0-3": "vfio-pci"},
        ["policy b: spec: VFs 3-7 of PF ens1f0 give way to policy a: spec"],
    ),
    (
        [
            policy("a", **names("ens1f0#0-1"), **VFIO),
            policy("b", **names("ens1f0#1-2"), priority=50),
            policy("c", **names("ens1f0#4-5"), priority=99),
        ],
        8, {"0-1": "vfio-pci", "4-5": "default"},
        ["policy b: spec: VFs 1-2 of PF ens1f0 give way to policy a: spec"],
    ),
    # the operator keeps one group for each resource
    (
        [policy("a", **names("ens1f0#0-1"), **VFIO), policy("b", **names("ens1f0#2-3"), resourceName="a", priority=50)],
        8, {"0-1": "vfio-pci"},
        ["policy b: spec: VFs 2-3 of PF ens1f0 are dropped: policy a: spec has the same resourceName"],
    ),
    (
        [policy("a", **names("ens1f0#0-1")), policy("b", **names("ens1f0#2-3"), **VFIO, resourceName="a", numVfs=4)],
        8, {"2-3": "vfio-pci"},
        [
            "policy a: spec: VFs 0-1 of PF ens1f0 are dropped: policy b: spec has the same resourceName",
            "policy b: spec.numVfs: 4 gives way to 8 of policy a: spec",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "number", "drivers", "notices"), MERGES)
def test_several_policies_for_one_pf(
    policies: list[dict[str, Any]], number: int, drivers: dict[str, str], notices: list[str]
) -> None:
    (pf,), texts = converted(*policies)
    assert pf["hardware_vfs"] == number
    assert {entry["ids"]: entry["driver"] for entry in pf["vfs"]} == drivers
    assert texts == notices


def test_lesser_eswitch_mode_gives_way() -> None:
    _pfs, texts = converted(policy("a"), policy("b", priority=50, eSwitchMode="switchdev"))
    assert "policy b: spec.eSwitchMode: switchdev gives way to none of policy a: spec" in texts


def test_vfs_of_somebody_else() -> None:
    pfs, texts = converted(policy(externallyManaged=True, **VFIO))
    assert pfs == [{"pf": "ens1f0", "vfs": [{"ids": "0-7", "driver": "vfio-pci"}]}]
    assert texts == ["policy a: spec.externallyManaged: somebody else makes the VFs, so their number is not declared"]


NOT_READ = "not looked at; give the node's labels, or choose hosts by inventory"

# policy, labels of the node, whether it counts, notices less the policy's name
COUNTS: list[tuple[dict[str, Any], object, bool, list[str]]] = [
    (policy(nodeSelector={"role": "gw"}), None, True, [f".nodeSelector: {NOT_READ}"]),
    (policy(nodeSelector={"role": "gw"}), {"role": "gw", "other": "x"}, True, []),
    (policy(nodeSelector={"role": "gw"}), {"role": "db"}, False, [".nodeSelector: not for a host with these labels"]),
    (policy(nodeSelector={"role": "gw"}), {}, False, [".nodeSelector: not for a host with these labels"]),
    (policy(nodeSelector={"sriov": True}), {"sriov": "true"}, True, []),
    (policy(), {}, True, []),
    (policy(numVfs="0"), None, False, [": without VFs, or with the name default, a policy has no effect"]),
    (policy(nodeSelector={"role": None}), {"role": ""}, True, []),
    (policy(nodeSelector={"role": None}), {}, False, [".nodeSelector: not for a host with these labels"]),
    (policy(numVfs=0), None, False, [": without VFs, or with the name default, a policy has no effect"]),
]


@pytest.mark.parametrize(("one", "labels", "counts", "notices"), COUNTS)
def test_which_policies_count(one: dict[str, Any], labels: object, counts: bool, notices: list[str]) -> None:
    pfs, texts = converted(one, labels=labels)
    assert (bool(pfs), texts) == (counts, [f"policy a: spec{text}" for text in notices])


def test_the_default_policy_is_none() -> None:
    assert converted(policy("default"))[0] == []


def test_keys_that_are_not_carried_over_are_named() -> None:
    one = policy(vdpaType="vhost", eSwitchMode="switchdev", eSwitchParams={"multiport": True}, mtuu=9)
    _pfs, texts = converted(one)
    assert texts == [
        "policy a: spec.vdpaType: vDPA devices are not made here",
        "policy a: spec.eSwitchParams: the multiport eswitch is not set here",
        "policy a: spec.mtuu: unknown, so not carried over; did you mean 'mtu'?",
    ]


@pytest.mark.parametrize(
    "shape",
    [lambda one: one, lambda one: [None, one], lambda one: [[one], []], lambda one: {"kind": "List", "items": [one]}],
)
def test_shapes_of_input(shape: Any) -> None:  # noqa: ANN401 - a lambda
    assert from_sriov_policies(shape(policy()))["document"]["pfs"][0]["hardware_vfs"] == 8


STATE = """
kind: SriovNetworkNodeState
metadata: {name: worker1}
spec:
  bridges: {ovs: [{name: br-0000-3b-00.0}]}
  interfaces:
    - name: ens1f0
      pciAddress: 0000:3b:00.0
      numVfs: 8
      mtu: 9000
      linkType: eth
      eSwitchMode: switchdev
      vfGroups:
        - {resourceName: dpdk, policyName: a, deviceType: vfio-pci, vfRange: 0-3}
        - {resourceName: net, policyName: b, vfRange: 4-7, mtu: 1500, isRdma: true}
status:
  interfaces: [{name: ens1f0, pciAddress: 0000:3b:00.0, mtu: 1500}]
"""


def test_the_state_of_a_node() -> None:
    found = from_sriov_policies(yaml.safe_load(STATE))
    assert found["document"]["pfs"] == [
        {
            "pf": "0000:3b:00.0", "hardware_vfs": 8, "present_vfs": "all", "drivers_autoprobe": True,
            "eswitch_mode": "switchdev", "mtu": 9000,
            "vfs": [{"ids": "0-3", "driver": "vfio-pci"}, {"ids": "4-7", "driver": "default", "mtu": 1500}],
        }
    ]  # fmt: skip
    where = "node worker1: spec.interfaces[0]"
    assert found["notices"] == [
        "node worker1: spec.bridges: not carried over",
        f"{where}.linkType: {LINK_TYPE}",
        f"{where}.vfGroups[0].resourceName: {KUBERNETES}",
        f"{where}.vfGroups[1].resourceName: {KUBERNETES}",
        f"{where}.vfGroups[1].isRdma: {RDMA}",
    ]


SELECTOR = "policy a: spec.nicSelector"

# objects, the message
WRONG: list[tuple[object, str]] = [
    (policy(**names("ens1f0#0-8")),
     f"{SELECTOR}.pfNames[0]: 8 is out of range: the highest one is 7; use lower ids or enable more VFs"),
    (policy(**names("ens1f0#3-1")), f"{SELECTOR}.pfNames[0]: the range '3-1' runs backwards; write '1-3'"),
    (policy(**names("ens1f0#3")),
     f"{SELECTOR}.pfNames[0]: 'ens1f0#3' is not a name with a range of VFs; write 'ens1f0#0-3'"),
    (policy(**names("ens1f0#0-1", "ens1f0#2-3")),
     f"{SELECTOR}.pfNames[1]: 'ens1f0#2-3': only the first entry for ens1f0 has an effect; keep one"),
    (policy(nicSelector={"rootDevices": ["0000:d8.00.0"]}),
     f"{SELECTOR}.rootDevices[0]: '0000:d8.00.0' is not a PCI address; write it like '0000:3b:00.0'"),
    (policy(nicSelector={"vendor": "0x8086"}),
     f"{SELECTOR}.vendor: '0x8086' is not a PCI id; write four digits in quotes, as '15b3'"),
    (policy(nicSelector={"vendor": "8086", "pfName": ["ens1f0"]}),
     f"{SELECTOR}.pfName: unknown key; did you mean 'pfNames'?"),
    (policy(nicSelector={"vendor": "8086", "bus": 1}),
     f"{SELECTOR}.bus: unknown key; known keys: vendor, deviceID, rootDevices, pfNames, netFilter"),
    (policy(nicSelector={}), f"{SELECTOR}: it is empty; give one of vendor, deviceID, rootDevices, pfNames, netFilter"),
    (policy(isRdma=True, **VFIO), "policy a: spec.isRdma: true contradicts the rest: vfio-pci has no RDMA"),
    (policy(linkType="IB", eSwitchMode="switchdev"),
     "policy a: spec.eSwitchMode: 'switchdev' contradicts the rest: switchdev is not for linkType ib"),
    (policy(vdpaType="vhost", **VFIO, eSwitchMode="switchdev"),
     "policy a: spec.vdpaType: 'vhost' contradicts the rest: it needs netdevice"),
    (policy(vdpaType="vhost"), "policy a: spec.vdpaType: 'vhost' contradicts the rest: it needs eSwitchMode switchdev"),
    (policy(bridge={"ovs": 1}),
     "policy a: spec.bridge: a mapping with the keys ovs contradicts the rest: it needs eSwitchMode switchdev"),
    (policy(bridge={"ovs": 1}, eSwitchMode="switchdev", externallyManaged=True),
     "policy a: spec.bridge: a mapping with the keys ovs contradicts the rest: it needs VFs made by the operator"),
    (policy(isRdma="perhaps"), "policy a: spec.isRdma: 'perhaps' is not true or false"),
    (policy(isRdma="yes", **VFIO), "policy a: spec.isRdma: true contradicts the rest: vfio-pci has no RDMA"),
    (policy(nicSelector={"pfNames": [None]}),
     f"{SELECTOR}.pfNames[0]: null is not the name of an interface; write it in quotes"),
    (policy(nicSelector={"pfNames": ["ens1f0", False]}),
     f"{SELECTOR}.pfNames[1]: false is not the name of an interface; write it in quotes"),
    (yaml.safe_load(STATE.replace(", vfRange: 0-3", "")),
     "node worker1: spec.interfaces[0].vfGroups[0].vfRange is missing; write the VFs of the group, as '0-3'"),
    (policy(deviceType="vfio"), "policy a: spec.deviceType: 'vfio' is not one of netdevice, vfio-pci"),
    (policy(eSwitchMode="off"), "policy a: spec.eSwitchMode: 'off' is not one of legacy, switchdev"),
    (policy(numVfs="some"), "policy a: spec.numVfs: 'some' is not a whole number from 0 on"),
    (policy(priority="high"), "policy a: spec.priority: 'high' is not a whole number from 0 on"),
    (policy(nodeSelector="gw"), "policy a: spec.nodeSelector: 'gw' is not a mapping"),
    ({"metadata": {"name": "a"}}, "policy a: spec is missing; give objects as kubectl get -o yaml prints them"),
    ("kind: List", "object: 'kind: List' is not a mapping"),
    ([policy("a"), policy("b")],
     "policy b: spec.nicSelector: VFs 0-7 of PF ens1f0 are those of policy a: spec as well, which has the same "
     "priority"),
    ([policy("a", **names("ens1f0#0-1"), eSwitchMode="legacy"),
      policy("b", **names("ens1f0#2-3"), eSwitchMode="switchdev")],
     "policy b: spec.eSwitchMode: switchdev for PF ens1f0, but policy a: spec has legacy and the same priority"),
    ([policy("a", externallyManaged=True), policy("b", priority=5)],
     "policy a: spec.externallyManaged: policy b: spec says otherwise for PF ens1f0"),
    ([yaml.safe_load(STATE), policy("a")],
     "a SriovNetworkNodeState is all there is to know of a host: give these without policies"),
    (yaml.safe_load(STATE.replace("0-3}", "0-9}")),
     "node worker1: spec.interfaces[0].vfGroups[0].vfRange: 8-9 is out of range: the highest one is 7; use lower "
     "ids or enable more VFs"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_wrong_input_names_policy_and_path(data: object, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        from_sriov_policies(data)
    assert str(caught.value) == message


def test_an_mtu_that_gives_way_is_a_notice() -> None:
    _pfs, notices = converted(policy("b", priority=99, mtu=9000), policy("a", priority=5))
    assert "policy b: spec.mtu: 9000 gives way to none of policy a: spec" in notices
    _pfs, notices = converted(policy("a", mtu=9000, externallyManaged=True))
    assert "policy a: spec.mtu: 9000 is not declared: somebody else manages the PF" in notices


MTU_PATH = "policy a: spec.mtu"

# MTU of the policy and of the PF, whether it is declared, the notice
MTUS: list[tuple[int, int | None, bool, str | None]] = [
    (1500, 9000, False, "1500 is not declared: the PF has 9000, and the operator only raises an MTU"),
    (9000, 9216, False, "9000 is not declared: the PF has 9216, and the operator only raises an MTU"),
    (9000, 9000, True, None),
    (9000, 1500, True, None),
    (1500, None, False, "1500 is not declared: the operator only raises an MTU, and the PF's is not known"),
    (
        9000,
        None,
        True,
        "9000 is declared, but the operator only raises an MTU: take it out where a PF has a larger one",
    ),
]


@pytest.mark.parametrize(("mtu", "current", "declared", "notice"), MTUS)
@pytest.mark.parametrize("of_state", [False, True])
def test_an_mtu_is_only_raised(
    mtu: int, current: int | None, declared: bool, notice: str | None, of_state: bool
) -> None:
    host = None if current is None else [{**HOST[0], "mtu": current}]
    objects: Any = policy("a", mtu=mtu, nicSelector={"rootDevices": [HOST[0]["pf"]]})
    where = MTU_PATH
    if of_state:
        interface: Any = {"pciAddress": HOST[0]["pf"], "name": "ens1f0", "numVfs": 8, "mtu": mtu}
        status: Any = {"interfaces": [{"pciAddress": HOST[0]["pf"], "mtu": current}]}
        objects = {"kind": "SriovNetworkNodeState", "metadata": {"name": "w"}, "spec": {"interfaces": [interface]}}
        objects |= {} if current is None else {"status": status}
        host, where = None, "node w: spec.interfaces[0].mtu"
    found = from_sriov_policies(objects, pfs=host)
    assert ("mtu" in found["document"]["pfs"][0]) == declared
    assert [text for text in found["notices"] if text.startswith(where)] == ([f"{where}: {notice}"] if notice else [])


def test_states_of_all_nodes() -> None:
    states = [
        yaml.safe_load(STATE.replace("worker1", f"worker{i}").replace("numVfs: 8", f"numVfs: {8 + i}")) for i in (1, 2)
    ]
    found = from_sriov_policies({"kind": "List", "items": states}, host="worker2.example")
    assert found["document"]["pfs"][0]["hardware_vfs"] == 10
    with pytest.raises(
        BadInputError, match="this is of 2 hosts, worker1, worker2, and which one is meant is not known"
    ):
        from_sriov_policies(states)


def test_policies_for_different_nodes_clash() -> None:
    both = [policy(name, nodeSelector={"role": name}) for name in ("a", "b")]
    with pytest.raises(BadInputError, match=r"their nodeSelector differs \(role=a; role=b\).*convert_labels"):
        from_sriov_policies(both)
    assert from_sriov_policies(both, labels={"role": "b"})["document"]["pfs"]
    with pytest.raises(BadInputError) as caught:
        from_sriov_policies(both, labels={"role": "a"}) and from_sriov_policies([policy("a"), policy("b")])
    assert "nodeSelector" not in str(caught.value)


@pytest.mark.parametrize("number", [65536, 10_000_000, 4_000_000_000, "9999999999"])
def test_numbers_are_bounded_before_anything_is_made_of_them(number: object) -> None:
    """Sets of that many VFs would take the controller's memory."""
    with pytest.raises(BadInputError, match=r"policy a: spec\.numVfs: .* is (out of range|not a whole number)"):
        from_sriov_policies(policy(numVfs=number))


@pytest.mark.parametrize("key", ["isRdma", "externallyManaged", "needVhostNet", "excludeTopology"])
@pytest.mark.parametrize("value", ["false", "no", "False"])
def test_flags_that_are_texts(key: str, value: str) -> None:
    assert converted(policy(**{key: value}, **VFIO)) == converted(policy(**{key: False}, **VFIO))


def test_policies_without_resources_share_none() -> None:
    """What two policies lack is nothing that they have in common."""
    one, other = (policy(f"p{i}", resourceName=None, priority=i, **names(f"ens1f0#{i}-{i}")) for i in (1, 2))
    pfs, texts = converted(one, other)
    assert (pfs[0]["vfs"], texts) == ([{"ids": "1-2", "driver": "default"}], [])


def test_a_state_without_vfs() -> None:
    state = yaml.safe_load(STATE)
    state["spec"]["interfaces"][0] |= {"numVfs": 0, "vfGroups": []}
    (pf,) = from_sriov_policies(state)["document"]["pfs"]
    assert (pf["hardware_vfs"], pf["present_vfs"]) == (0, "none")


def test_a_state_that_asks_for_nothing_says_so() -> None:
    state = {**yaml.safe_load(STATE), "spec": {}}
    assert from_sriov_policies(state)["notices"] == [
        "node worker1: status.interfaces: what the node has, which nothing of spec asks for"
    ]


# kind of another object, the words of its notice
KINDS = [
    ("SriovNetwork", "not carried over; what pods' VFs get can be declared for the VFs"),
    ("SriovOperatorConfig", "not carried over"),
    ("sriovnetworknodepolicy", "not carried over; did you mean 'SriovNetworkNodePolicy'?"),
]


@pytest.mark.parametrize(("kind", "words"), KINDS)
def test_objects_of_other_kinds_are_named(kind: str, words: str) -> None:
    assert from_sriov_policies({**policy(), "kind": kind})["notices"] == [f"{kind} a: {words}"]
