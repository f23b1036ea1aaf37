# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests for single VFs: validation, and the resulting specification."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import PfSpec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.id_sets import ALL
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.resolve import resolve
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.selector import Selector
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.vf_spec import VfSpec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_device import VfDevice

TWO, SIX = frozenset({2}), frozenset({6})

# arguments, the spec
SPECS: list[tuple[dict[str, Any], PfSpec]] = [
    ({"ids": "6"}, PfSpec("eth0", vfs=(VfSpec(SIX),), add_vfs=SIX)),
    ({"ids": 6, "state": "present", "driver": None}, PfSpec("eth0", vfs=(VfSpec(SIX),), add_vfs=SIX)),
    (
        {"ids": [6], "driver": "vfio-pci", "vlan": 5, "trust": False},
        PfSpec("eth0", vfs=(VfSpec(SIX, "vfio-pci", VfProperties(vlan=5, trust=False)),), add_vfs=SIX),
    ),
    (
        {"ids": [6], "mac": "hash", "msix_vectors": 16, "mtu": 9000},
        PfSpec("eth0", vfs=(VfSpec(SIX, None, VfProperties("hash"), VfDevice(16, 9000)),), add_vfs=SIX),
    ),
    (
        {"pf": {"driver": "ice", "all": True}, "ids": 6, "mac": "hash"},
        PfSpec(Selector((("driver", "ice"),), all=True), vfs=(VfSpec(SIX, None, VfProperties("hash")),), add_vfs=SIX),
    ),
    ({"ids": "all", "state": "absent", "mac": None}, PfSpec("eth0", remove_vfs=ALL)),
    (
        {"pf": {"driver": "ice", "all": True}, "ids": "2", "state": "absent"},
        PfSpec(Selector((("driver", "ice"),), all=True), remove_vfs=TWO),
    ),
]


@pytest.mark.parametrize(("arguments", "spec"), SPECS)
def test_validate(arguments: dict[str, Any], spec: PfSpec) -> None:
    assert vf_request.validate({"pf": "eth0", **arguments}).pfs == (spec,)


# arguments, words of the message
BAD: list[tuple[dict[str, Any], str]] = [
    ({"ids": 1, "pf": None}, "sriov_vf.pf is missing; write it like"),
    ({}, "sriov_vf.ids is missing"),
    ({"ids": "1-"}, "sriov_vf.ids: '1-' is not a VF id or a range"),
    ({"ids": 1, "state": "gone"}, "sriov_vf.state: 'gone' is not present or absent"),
    ({"ids": 1, "hardware_vfs": 3}, "sriov_vf.hardware_vfs: unknown key"),
    ({"ids": 1, "vlan": 5000}, "sriov_vf.vlan: 5000 is not a whole number"),
    ({"ids": "1-2", "mac": "02:00:00:00:00:01"}, "sriov_vf.mac: 02:00:00:00:00:01 cannot be given to several VFs"),
    (
        {"ids": 1, "mac": "02:00:00:00:00:01", "pf": {"driver": "ice", "all": True}},
        "sriov_vf.pf.all: mac 02:00:00:00:00:01 cannot be given to VFs of several PFs",
    ),
    (
        {"ids": "all", "node_guid": "02:00:00:00:00:00:00:01+id", "pf": {"driver": "mlx5_core", "all": True}},
        "sriov_vf.pf.all: node_guid 02:00:00:00:00:00:00:01+id cannot be given to VFs of several PFs; name each PF",
    ),
    ({"ids": 1, "msix_vectors": 0}, "sriov_vf.msix_vectors: 0 is not a whole number from 1 to 2048"),
    ({"ids": 1, "eswitch_mode": "legacy"}, "sriov_vf.eswitch_mode: unknown key"),
    ({"ids": 1, "state": "absent", "mtu": 1500}, "sriov_vf.mtu: VFs that are to be absent take no mtu; leave it out"),
    ({"ids": 1, "state": "absent", "driver": "igbvf"}, "sriov_vf.driver: VFs that are to be absent take no driver"),
    ({"ids": 1, "state": "absent", "vlan": 0}, "sriov_vf.vlan: VFs that are to be absent take no vlan; leave it out"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_validate_refuses(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        vf_request.validate({"pf": "eth0", **arguments})
    assert words in str(caught.value)


def test_all_means_the_enabled_ones_or_all_that_there_can_be() -> None:
    states = {"0000:03:00.0": PfState("0000:03:00.0", 7, 4, netdev="eth0")}
    (added,) = resolve(vf_request.validate({"pf": "eth0", "ids": "all"}), states).pfs
    (removed,) = resolve(vf_request.validate({"pf": "eth0", "ids": "all", "state": "absent"}), states).pfs
    assert (added.add_vfs, removed.remove_vfs) == (frozenset(range(4)), frozenset(range(7)))
