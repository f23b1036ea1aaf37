# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals before anything is written: what devices do not support."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.link import Link
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.settings import PfSettings
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState, VfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_device import VfDevice
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.plan import plan_host

PF = "0000:03:00.0"
ETHERNET = Link("ether", "52:54:00:00:00:01", 68, 9216)
PLAIN = VfProperties("00:00:00:00:00:00", 0, 0, spoofchk=True, link_state="auto")
READ = {0: PLAIN, 1: PLAIN}
INFINIBAND = {"link": Link("infiniband"), "properties": {0: VfProperties(node_guid="00:00:00:00:00:00:00:00")}}
BOUND = {0: VfState("0000:03:10.0", "igbvf", None, "1", "eth4"), 1: VfState("0000:03:10.2", "vfio-pci", "vfio-pci")}


def current(**changes: Any) -> PfState:  # noqa: ANN401 - fields of several types
    more = {"driver": "igb", "netdev": "eth0", "link": ETHERNET, "properties": READ, "vfs": BOUND, "autoprobe": False}
    return PfState(PF, 7, 2, frozenset({0, 1}), interface="vf-id", **{**more, **changes})


MLX5 = {"driver": "mlx5_core", "settings": PfSettings("switchdev"), "total_msix": 20}

# current state, spec of VF 0, words of the refusal
VFS: list[tuple[PfState, dict[str, Any], str]] = [
    (current(properties={}), {"vlan": 5}, "vlan of VFs 0 cannot be set: igb does not report it"),
    (
        current(),
        {"trust": True},
        "trust of VFs 0 cannot be set: igb does not report it, as drivers do that answer EOPNOTSUPP",
    ),
    (current(), {"query_rss": False}, "query_rss of VFs 0 cannot be set: igb does not report it"),
    (
        current(),
        {"node_guid": "02:00:00:00:00:00:00:01"},
        "node_guid of VFs 0 cannot be set: eth0 is of type ether (EOPNOTSUPP)",
    ),
    (
        current(**INFINIBAND),
        {"mac": "02:00:00:00:00:01"},
        "mac of VFs 0 cannot be set: eth0 is of type infiniband",
    ),
    (
        current(**INFINIBAND),
        {"vlan": 5},
        "vlan of VFs 0 cannot be set: eth0 is of type infiniband (EOPNOTSUPP)",
    ),
    (current(link=Link()), {"mac": "hash"}, "mac 'hash' of VFs 0: eth0 has no permanent address"),
    (
        current(link=Link("ether", None, 68, 9216, mtu=1500), devices={0: VfDevice(mtu=1500)}),
        {"mtu": 9000},
        "mtu 9000 of VFs 0 is above the PF's 1500, whose port would drop such frames; declare a higher mtu of the PF",
    ),
    (current(**MLX5), {"vlan": 5}, "vlan of VFs 0 cannot be set: mlx5_core refuses it in switchdev mode (EOPNOTSUPP)"),
    (current(**MLX5), {"link_state": "enable"}, "link_state of VFs 0 cannot be set: mlx5_core refuses it in switchdev"),
    (current(), {"msix_vectors": 4}, "msix_vectors of VFs 0 cannot be set: igb has no vectors to share out"),
    (
        current(**MLX5),
        {"msix_vectors": 21},
        "21 for VFs 0 are more than the 20 that the PF has for all of them (sriov_vf_tot",
    ),
    (
        current(),
        {"driver": "vfio-pci", "mtu": 1500},
        "mtu of VF 0 cannot be set: it has no network interface here, its driver is",
    ),
    (
        current(vfs={0: VfState("a")}),
        {"mtu": 1500},
        "mtu of VF 0 cannot be set: it has no network interface here, nothing binds",
    ),
    (
        current(vfs={0: VfState("a", "igbvf")}),
        {"mtu": 1500},
        "though igbvf is bound: a driver for virtual machines, or it is in",
    ),
]


def plan(state: PfState, **spec: Any) -> None:  # noqa: ANN401 - values of several types
    plan_host({PF: state}, validate({"pfs": [{"pf": PF, **spec}]}))


@pytest.mark.parametrize(("state", "vf", "words"), VFS)
def test_refused(state: PfState, vf: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        plan(state, vfs=[{"ids": 0, **vf}])
    assert f"PF {PF}: " in str(caught.value)
    assert words in str(caught.value)


def test_vectors_of_several_vfs_count_together() -> None:
    plan(current(**MLX5), vfs=[{"ids": "0-1", "msix_vectors": 10}])
    with pytest.raises(
        BadInputError, match="msix_vectors: 22 for VFs 0-1 are more than the 20 that the PF has for all"
    ):
        plan(current(**MLX5), vfs=[{"ids": "0-1", "msix_vectors": 11}])


# current state, spec of VF 0
ALLOWED: list[tuple[PfState, dict[str, Any]]] = [
    (
        current(),
        {"spoofchk": False, "vlan": 5, "link_state": "enable", "max_tx_rate": 9},
    ),  # it may: the kernel does not report it
    (current(), {"mac": "hash"}),
    (current(**INFINIBAND), {"node_guid": "02:00:00:00:00:00:00:01", "link_state": "enable"}),
    (current(**MLX5), {"mac": "02:00:00:00:00:01", "vlan": 0, "link_state": "auto"}),  # as now, or none
    (current(**{**MLX5, "settings": PfSettings("legacy")}), {"vlan": 5, "link_state": "enable"}),
    (current(**MLX5), {"msix_vectors": 20}),
    (current(total_msix=0, devices={0: VfDevice(4)}), {"msix_vectors": 4}),
    (current(devices={0: VfDevice(mtu=1500)}), {"mtu": 9000}),
    (current(vfs={0: VfState("a")}), {"mtu": 1500, "driver": "igbvf"}),
    (current(vfs={0: VfState("a", "vfio-pci", "vfio-pci")}, autoprobe=True), {"mtu": 1500, "driver": "default"}),
]


@pytest.mark.parametrize(("state", "vf"), ALLOWED)
def test_allowed(state: PfState, vf: dict[str, Any]) -> None:
    plan(state, vfs=[{"ids": 0, **vf}])


@pytest.mark.parametrize(("mtu", "refused"), [(68, False), (9216, False), (9217, True)])
def test_mtu_of_the_pf(mtu: int, refused: bool) -> None:
    state = current(settings=PfSettings(mtu=1500))
    if refused:
        with pytest.raises(
            BadInputError, match=rf"PF {PF}: mtu 9217 is out of range: eth0 takes 68 to 9216 \(EINVAL\)"
        ):
            plan(state, mtu=mtu)
    else:
        plan(state, mtu=mtu)


def test_an_interface_without_a_known_limit() -> None:
    plan(current(settings=PfSettings(mtu=1500), link=Link("ether", None, 68, 0)), mtu=65535)


def test_all_reasons_are_given() -> None:
    with pytest.raises(BadInputError, match=r"mtu 9999 is out of range.*trust of VFs 0-1.*msix_vectors of VFs 0-1"):
        plan(current(settings=PfSettings(mtu=1500)), mtu=9999, vfs=[{"ids": "all", "trust": True, "msix_vectors": 4}])
