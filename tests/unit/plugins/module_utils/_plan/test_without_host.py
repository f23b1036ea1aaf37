# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals that need no host, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import without_host
from tests.fake.linux.host import FakeHost
from tests.fake.scenarios.transitions import TRANSITIONS, Transition

A, B = "0000:03:00.0", "0000:05:00.0"
MAC = "02:00:00:00:00:01"
GUID = "02:00:00:00:00:00:00:01"


def pf(*vfs: dict[str, Any], name: object = A, **keys: object) -> dict[str, Any]:
    return {"pf": name, "hardware_vfs": 4, **keys, **({"vfs": list(vfs)} if vfs else {})}


# documents that every host refuses, what is said of each
REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([pf(present_vfs="0-7")], f"PF {A}: present_vfs: 4-7 is out of range"),
    ([pf({"ids": "3-4", "vlan": 5})], f"PF {A}: vfs[0].ids: 4 is out of range"),
    ([pf({"ids": 4, "driver": "vfio-pci"}, hardware_vfs={"at_most": 4})], f"PF {A}: vfs[0].ids: 4 is out of range"),
    ([pf(present_vfs="0", hardware_vfs=0)], f"PF {A}: present_vfs: 0 is out of range"),
    ([pf({"ids": "all", "vlan": "4092+id"})], "4092+id is 4095 for VF 3, above 4094"),
    ([pf({"ids": "all", "mac": "02:00:00:ff:ff:fe+id"})], "overflows with VF 3"),
    ([pf(name="eth0"), pf(name="eth0")], "PF eth0 is declared twice"),
    ([pf(), pf(name="03:00.0")], f"PF {A} is declared twice"),
    ([pf(name={"driver": "ice"}), pf(name={"driver": "ice"})], "PF {driver: ice} is declared twice"),
    ([pf({"ids": 0, "mac": MAC}, {"ids": 1, "mac": MAC})], f"mac {MAC} would be that of VF 0 of PF {A} and of VF 1"),
    (
        [pf({"ids": "all", "mac": f"{MAC}+id"}), pf({"ids": 0, "mac": "02:00:00:00:00:03"}, name="eth1")],
        f"would be that of VF 2 of PF {A} and of VF 0 of PF eth1",
    ),
    ([pf({"ids": 0, "node_guid": GUID}, {"ids": 1, "node_guid": GUID})], f"node_guid {GUID} would be that of VF 0"),
    ([pf({"ids": 0, "name": "a"}), pf({"ids": 2, "name": "a"}, name=B)], "name a would be that of VF 0"),
    ([pf({"ids": 0, "name": "eth1"}, name="eth1")], "name eth1 would be that of PF eth1 itself and of VF 0"),
    ([pf({"ids": 0, "name": "a", "driver": "vfio-pci"})], "name of VF 0 cannot be set: it has no network interface"),
    ([pf({"ids": 0, "mtu": 1500}, {"ids": "all", "driver": "unbound"})], "mtu of VF 0 cannot be set"),
    ([pf({"ids": "all", "mtu": 9000}, mtu=1500)], "mtu 9000 of VFs 0-3 is above the 1500 declared for the PF"),
    ([pf({"ids": 2, "mtu": 9000}, mtu=1500, hardware_vfs="max")], "mtu 9000 of VFs 2 is above"),
    ([pf({"ids": 0, "driver": "vfio_pci"})], "is the name of a module; that of the driver is 'vfio-pci'"),
    ([pf({"ids": "all", "max_tx_rate": 10}, {"ids": 1, "min_tx_rate": 20})], "min_tx_rate of VFs 1 is above their max"),
    ([pf({"ids": 0, "vlan": 5, "node_guid": GUID})], "have vlan, only those with InfiniBand node_guid"),
    (
        [pf({"ids": 0, "spoofchk": True}, name={"driver": "mlx5_core"}, eswitch_mode="switchdev")],
        "mlx5_core refuses it in switchdev mode",
    ),
]


@pytest.mark.parametrize(("pfs", "words"), REFUSED, ids=range(len(REFUSED)))
def test_it_is_refused(pfs: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        without_host.refuse(validate({"pfs": pfs}))
    assert words in str(caught.value)


HOSTS = ("igb", "mlx5", "ipoib")


@pytest.mark.parametrize(("pfs", "words"), REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("kind", HOSTS)
def test_no_host_takes_it(tmp_path: Path, pfs: list[dict[str, Any]], words: str, kind: str) -> None:
    """Real plans refuse it, too: what is refused here is no opinion."""
    host = FakeHost(tmp_path, "vf-id")
    for address, name in ((A, "eth0"), (B, "eth1")):
        getattr(host, kind)(address).netdev = name
    host.draw()
    with pytest.raises(BadInputError):
        converge(host.sysfs, host.run, validate({"pfs": pfs}), check=True, allow_disruptive=True)
    assert host.sysfs.writes == []


def test_all_mistakes_are_named_at_once() -> None:
    pfs = [
        pf(present_vfs="9"),
        pf({"ids": 0, "mac": MAC}, {"ids": 1, "mac": MAC}, name=B),
        pf(name="eth9"),
        pf(name="eth9"),
    ]
    with pytest.raises(BadInputError) as caught:
        without_host.refuse(validate({"pfs": pfs}))
    assert [one.split(":")[0] for one in caught.value.mistakes] == [
        "PF 0000", "PF eth9 is declared twice; keep one of them", "mac 02",
    ]  # fmt: skip


# documents that some host takes, though they are near to those above
TAKEN: list[list[dict[str, Any]]] = [
    [pf({"ids": "all", "mac": "02:00:00:ff:ff:fe+id"}, hardware_vfs="max")],
    [pf({"ids": "all", "vlan": "4090+id"}, hardware_vfs={"at_most": 64})],
    [pf({"ids": 200, "driver": "vfio-pci"}, hardware_vfs="max")],
    [{"pf": A, "present_vfs": "0-7"}],
    [pf({"ids": "all", "mac": "hash"}), pf({"ids": "all", "mac": "hash"}, name=B)],
    [pf({"ids": 0, "name": "a", "mtu": 9000}, drivers_autoprobe=False)],
    [pf({"ids": 0, "mtu": 9000}), pf(name=B, mtu=1500)],
    [pf({"ids": 0, "link_state": "enable", "node_guid": GUID})],
    [pf({"ids": "all", "msix_vectors": 2048})],
    [pf({"ids": 0, "spoofchk": True}, eswitch_mode="switchdev")],
    [pf(hardware_vfs=0, present_vfs="none")],
    [],
]


@pytest.mark.parametrize("pfs", TAKEN, ids=range(len(TAKEN)))
def test_what_some_host_takes_is_not_refused(pfs: list[dict[str, Any]]) -> None:
    without_host.refuse(validate({"pfs": pfs}))


@pytest.mark.parametrize("one", TRANSITIONS, ids=lambda one: one.name)
def test_what_hosts_take_is_not_refused(one: Transition) -> None:
    document = one.document()
    if not any(spec.add_vfs or spec.remove_vfs for spec in document.pfs):
        without_host.refuse(document)


def test_as_many_vfs_as_there_can_be() -> None:
    """Ids are looked at a few times each, not for each other."""
    without_host.refuse(validate({"pfs": [pf({"ids": "all", "mac": f"{MAC}+id", "mtu": 1500}, hardware_vfs=65535)]}))
