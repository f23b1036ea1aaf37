# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner's order of eswitch, MTU, MSI-X vectors, presence and binding.

Tables: current state, specification, steps.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.link import Link
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import NO_MAC, VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.settings import PfSettings
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.vf_device import VfDevice
from tests.fake.scenarios.plans import PF, current, make, text

A, V = "vf-id", "vfio-pci"
LEGACY, SWITCHDEV = PfSettings("legacy"), PfSettings("switchdev")
DEVICE = {"total_msix": 64}


def network(driver: str, *args: Any, **more: Any) -> PfState:  # noqa: ANN401 - as current()
    """A PF of another driver, with VFs bound or not.

    They have no override unless it is vfio-pci.
    """
    state = current(*args, **{"settings": LEGACY, **more})
    own = {i: vf._replace(driver_override=V if vf.driver == V else None) for i, vf in state.vfs.items()}
    return state._replace(driver=driver, vfs=own, bus_drivers=frozenset({V, "mlx5_core", "iavf"}))


M, MAC = "mlx5_core", "02:00:00:00:00:00"
VF5 = "virtfn5"

# current state, spec, steps
SETTINGS: list[tuple[PfState, dict[str, Any], list[str]]] = [
    (network(M, A, 0), {"eswitch_mode": "legacy"}, []),
    (network(M, A, 0), {"eswitch_mode": "switchdev"}, ["eswitch: switchdev"]),
    (
        network(M, A, 0),
        {"eswitch_mode": "switchdev", "hardware_vfs": 4, "present_vfs": "0", "vfs": [{"ids": 0, "mac": MAC}]},
        ["enable: sriov_numvfs_no_scan=4", f"properties: 0 mac {MAC}", "read back", "eswitch: switchdev",
         "add: sriov_scan_vf_id=0"],
    ),
    (  # enabling brings VFs with it, and their driver, unless autoprobe is off: it is for as long as the mode changes
        network(M, "stock", 0, autoprobe=True),
        {"eswitch_mode": "switchdev", "hardware_vfs": 2, "vfs": [{"ids": 1, "driver": V}]},
        ["autoprobe: sriov_drivers_autoprobe=0", "enable: sriov_numvfs=2", "eswitch: switchdev",
         f"override: virtfn1/driver_override={V}", "bind: drivers_probe", "autoprobe: sriov_drivers_autoprobe=1",
         "bind: drivers_probe"],
    ),
    (  # back: VFs get what only legacy mode gives after it
        network(M, A, 4, [0], settings=SWITCHDEV, properties={0: VfProperties(vlan=0)}),
        {"eswitch_mode": "legacy", "vfs": [{"ids": 0, "vlan": 5}]},
        ["eswitch: legacy", "properties: 0 vlan 5 qos 0", "read back"],
    ),
    (  # an override that no driver has, before the unbinding
        network(M, A, 4, [0], "iavf", autoprobe=True), {"vfs": [{"ids": 0, "driver": "unbound"}]},
        ["override: virtfn0/driver_override=none", "unbind: virtfn0/driver/unbind"],
    ),
    (  # autoprobe is off: no override, and none that was there
        network(M, A, 4, [0], V), {"vfs": [{"ids": 0, "driver": "unbound"}]},
        ["unbind: virtfn0/driver/unbind", "override: virtfn0/driver_override=\\n"],
    ),
    (  # a new one gets no driver in between, its neighbour gets the kernel's choice
        network(M, A, 4, autoprobe=True), {"present_vfs": "0-1", "vfs": [{"ids": 0, "driver": "unbound"}]},
        ["autoprobe: sriov_drivers_autoprobe=0", "add: sriov_scan_vf_id=0", "override: virtfn0/driver_override=none",
         "autoprobe: sriov_drivers_autoprobe=1", "add: sriov_scan_vf_id=1"],
    ),
    (network(M, A, 4, [0], M), {"eswitch_mode": "switchdev", "present_vfs": "none"},
     ["unbind: virtfn0/driver/unbind", "remove: sriov_remove_vf_id=0", "eswitch: switchdev"]),
    (
        network("ice", A, 0),
        {"eswitch_mode": "switchdev", "hardware_vfs": 4, "present_vfs": "none", "vfs": [{"ids": 0, "mac": MAC}]},
        ["eswitch: switchdev", "enable: sriov_numvfs_no_scan=4", f"properties: 0 mac {MAC}", "read back"],
    ),
    (network("ice", A, 4), {"eswitch_mode": "switchdev"},
     ["disable: sriov_numvfs_no_scan=0", "eswitch: switchdev", "enable: sriov_numvfs_no_scan=4"]),
    (network("bnxt_en", A, 4, [0], "bnxt_en"), {"eswitch_mode": "switchdev"}, ["eswitch: switchdev"]),
    (network("new", A, 0), {"eswitch_mode": "switchdev", "hardware_vfs": 1, "present_vfs": "none"},
     ["eswitch: switchdev", "enable: sriov_numvfs_no_scan=1"]),
    (current(A, 0, settings=PfSettings(mtu=1500)), {"mtu": 1500}, []),
    (
        current(A, 0, settings=PfSettings(mtu=1500)),
        {"mtu": 9000, "hardware_vfs": 2, "present_vfs": "none"},
        ["mtu: =9000", "enable: sriov_numvfs_no_scan=2"],
    ),
    (network(M, A, 0, settings=PfSettings("legacy", 1500)),
     {"mtu": 9000, "eswitch_mode": "switchdev", "hardware_vfs": 2, "present_vfs": "none"},
     ["mtu: =9000", "enable: sriov_numvfs_no_scan=2", "eswitch: switchdev"]),
    (  # of a VF that is bound: it is unbound, and bound again by override, whatever autoprobe is
        network(M, A, 7, [5], M, devices={5: VfDevice(8, 1500)}, **DEVICE),
        {"vfs": [{"ids": 5, "msix_vectors": 16}]},
        [f"override: {VF5}/driver_override={M}", f"unbind: {VF5}/driver/unbind", f"msix: {VF5}/sriov_vf_msix_count=16",
         "bind: drivers_probe", f"override: {VF5}/driver_override=\\n"],
    ),
    (
        network(M, A, 7, [5], V, devices={5: VfDevice(8)}, **DEVICE),
        {"vfs": [{"ids": 5, "msix_vectors": 16}]},
        [f"unbind: {VF5}/driver/unbind", f"msix: {VF5}/sriov_vf_msix_count=16", "bind: drivers_probe"],
    ),
    (network(M, A, 7, [5], V, devices={5: VfDevice(16)}, **DEVICE), {"vfs": [{"ids": 5, "msix_vectors": 16}]}, []),
    (network("ice", A, 7, [5], V, devices={5: VfDevice(17)}, **DEVICE), {"vfs": [{"ids": 5, "msix_vectors": 16}]}, []),
    (network(M, A, 7, [5], devices={5: VfDevice(8)}, **DEVICE), {"vfs": [{"ids": 5, "msix_vectors": 16}]},
     [f"msix: {VF5}/sriov_vf_msix_count=16"]),
    (
        network(M, A, 7, [5], M, devices={5: VfDevice(8)}, **DEVICE),
        {"vfs": [{"ids": 5, "msix_vectors": 16, "driver": V}]},
        [f"override: {VF5}/driver_override={V}", f"unbind: {VF5}/driver/unbind", f"msix: {VF5}/sriov_vf_msix_count=16",
         "bind: drivers_probe"],
    ),
    (network(M, A, 7, [5], V, devices={5: VfDevice(8)}, **DEVICE), {"vfs": [{"ids": 3, "msix_vectors": 16}]}, []),
    (  # the pool is one for all: who gives back comes first
        network(M, A, 7, range(3), devices={0: VfDevice(8), 1: VfDevice(20), 2: VfDevice(10)}, **DEVICE),
        {"vfs": [{"ids": "0-2", "msix_vectors": 12}]},
        [f"msix: virtfn{i}/sriov_vf_msix_count=12" for i in (1, 2, 0)],
    ),
    (  # added without a driver, given vectors, then bound as the kernel likes
        network(M, A, 0, autoprobe=True, **DEVICE),
        {"hardware_vfs": 2, "present_vfs": "all", "vfs": [{"ids": 1, "msix_vectors": 12}]},
        ["autoprobe: sriov_drivers_autoprobe=0", "enable: sriov_numvfs_no_scan=2", "add: sriov_scan_vf_id=1",
         "msix: virtfn1/sriov_vf_msix_count=12", "autoprobe: sriov_drivers_autoprobe=1", "bind: drivers_probe",
         "add: sriov_scan_vf_id=0"],
    ),
    (  # where enabling adds all, none has a driver yet
        network(M, "stock", 0, autoprobe=True, **DEVICE),
        {"hardware_vfs": 2, "vfs": [{"ids": 1, "msix_vectors": 12}]},
        ["autoprobe: sriov_drivers_autoprobe=0", "enable: sriov_numvfs=2", "msix: virtfn1/sriov_vf_msix_count=12",
         "autoprobe: sriov_drivers_autoprobe=1", "bind: drivers_probe", "bind: drivers_probe"],
    ),
    (network(M, A, 7, [5], M, devices={5: VfDevice(mtu=1500)}), {"vfs": [{"ids": 5, "mtu": 1500}]}, []),
    (network(M, A, 7, [5], M, devices={5: VfDevice(mtu=1500)}), {"vfs": [{"ids": 5, "mtu": 9000}]},
     [f"vf mtu: {VF5}=9000"]),
    (  # its interface comes anew with its driver
        network(M, A, 7, [5], V, devices={5: VfDevice(mtu=9000)}),
        {"vfs": [{"ids": 5, "mtu": 9000, "driver": M}]},
        [f"override: {VF5}/driver_override={M}", f"unbind: {VF5}/driver/unbind", "bind: drivers_probe",
         f"vf mtu: {VF5}=9000"],
    ),
    (
        network(M, A, 7, autoprobe=True),
        {"present_vfs": "5", "vfs": [{"ids": 5, "mtu": 9000}]},
        ["add: sriov_scan_vf_id=5", f"vf mtu: {VF5}=9000"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("state", "spec", "steps"), SETTINGS)
def test_settings_and_devices(state: PfState, spec: dict[str, Any], steps: list[str]) -> None:
    plan = make(state, spec)
    assert text(plan) == steps
    assert plan.changed == bool(steps)


def test_settings_and_devices_in_the_diff() -> None:
    state = network(M, A, 7, [5], settings=PfSettings("legacy", 1500), devices={5: VfDevice(8, 1500)}, **DEVICE)
    spec = {"mtu": 9000, "vfs": [{"ids": 5, "msix_vectors": 16, "driver": M}, {"ids": "5-6", "mtu": 4000}]}
    diff = make(state, spec).diff(full=True)
    before, after = diff["before"][PF], diff["after"][PF]
    assert (before["mtu"], after["mtu"]) == (1500, 9000)
    assert "eswitch_mode" not in before
    assert before["vfs"] == {"5": {"driver": "none", "msix_vectors": 8, "mtu": 1500}}
    assert after["vfs"] == {"5": {"driver": M, "msix_vectors": 16, "mtu": 4000}}


def test_no_two_vfs_get_the_same_derived_address() -> None:
    reported = {vf_id: VfProperties(mac=NO_MAC) for vf_id in range(7)}
    state = current(A, 7, link=Link("ether", "00:1b:21:aa:bb:cc"), properties=reported)
    spec = {"vfs": [{"ids": "0-3", "mac": "hash"}, {"ids": "4-6", "mac": "02:00:00:00:00:fe+id"}]}
    after = make(state, spec).diff(full=True)["after"]
    macs = [vf["mac"] for vf in after[PF]["vfs"].values()]
    assert macs[4:] == ["02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:04"]
    assert len(set(macs)) == 7


# current state, spec, steps when it is allowed, words of the refusal
DISRUPTIVE: list[tuple[PfState, dict[str, Any], list[str], str]] = [
    (
        network(M, A, 7, [0, 5], M),
        {"eswitch_mode": "switchdev", "vfs": [{"ids": 0, "driver": V}]},
        [
            "unbind: virtfn0/driver/unbind",
            f"unbind: {VF5}/driver/unbind",
            "eswitch: switchdev",
            f"override: virtfn0/driver_override={V}",
            f"override: {VF5}/driver_override={M}",
            "bind: drivers_probe",
            "bind: drivers_probe",
            f"override: {VF5}/driver_override=\\n",
        ],
        "mlx5_core changes eswitch_mode only while its VFs are unbound, and VFs 0,5 have drivers; unbind them first",
    ),
    (
        network("ice", A, 7, [5], V),
        {"eswitch_mode": "switchdev"},
        [
            "disable: sriov_numvfs_no_scan=0",
            "eswitch: switchdev",
            "enable: sriov_numvfs_no_scan=7",
            "add: sriov_scan_vf_id=5",
            f"override: {VF5}/driver_override={V}",
            "bind: drivers_probe",
        ],
        "ice changes eswitch_mode from legacy to switchdev only while no VFs are enabled; that requires "
        "disabling all VFs first",
    ),
]


@pytest.mark.parametrize(("state", "spec", "steps", "words"), DISRUPTIVE)
def test_refused_unless_allowed(state: PfState, spec: dict[str, Any], steps: list[str], words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        make(state, spec)
    assert words in str(caught.value)
    assert text(make(state, {**spec, "allow_disruptive": True})) == steps


def test_default_beside_new_vfs_with_vectors() -> None:
    """New VFs with vectors, and the kernel's choice of driver.

    They are added without probing; the kernel chooses when it probes again.
    """
    state = network(M, A, 4, [0], V, autoprobe=True, **DEVICE)
    spec = {"present_vfs": "0-1", "vfs": [{"ids": "0-1", "driver": "default", "msix_vectors": 16}]}
    assert text(make(state, spec)) == [
        "autoprobe: sriov_drivers_autoprobe=0",
        "add: sriov_scan_vf_id=1",
        "unbind: virtfn0/driver/unbind",
        "override: virtfn0/driver_override=\\n",
        "msix: virtfn0/sriov_vf_msix_count=16",
        "msix: virtfn1/sriov_vf_msix_count=16",
        "autoprobe: sriov_drivers_autoprobe=1",
        "bind: drivers_probe",
        "bind: drivers_probe",
    ]
