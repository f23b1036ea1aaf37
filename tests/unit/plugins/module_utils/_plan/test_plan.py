# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner as a table: current state, specification, steps."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument, validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.actions import Write
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.plan import HostPlan, plan_host
from tests.fake.scenarios.plans import PF, change, current, make, text

A, B, V = "vf-id", "vf-id-narrow", "vfio-pci"

# current state, spec, steps
STEPS: list[tuple[PfState, dict[str, Any], list[str]]] = [
    (current(A, 0), {}, []),
    (current(A, 0), {"hardware_vfs": 7}, ["enable: sriov_numvfs_no_scan=7", "add: sriov_scan_vf_id=0-6"]),
    (current(A, 0), {"hardware_vfs": 7, "present_vfs": "unmanaged"}, ["enable: sriov_numvfs_no_scan=7"]),
    (current("stock", 0), {"hardware_vfs": 7, "present_vfs": "unmanaged"}, ["enable: sriov_numvfs=7"]),
    (current(A, 7, [0, 3]), {"hardware_vfs": 7, "present_vfs": "unmanaged"}, []),
    (current(A, 7, [0, 3]), {"hardware_vfs": 7}, []),
    (current("stock", 0), {"hardware_vfs": 7}, ["enable: sriov_numvfs=7"]),
    (current(A, 0), {"hardware_vfs": 0, "present_vfs": "none"}, []),
    (
        current(A, 0),
        {"hardware_vfs": 7, "present_vfs": "0-1,6"},
        ["enable: sriov_numvfs_no_scan=7", "add: sriov_scan_vf_id=0-1,6"],
    ),
    (
        current(B, 0),
        {"hardware_vfs": 7, "present_vfs": "0-1,6"},
        ["enable: sriov_numvfs_no_scan=7", "add: sriov_scan_vf_id=1", "add: sriov_scan_vf_id=6"],
    ),
    (current("stock", 0), {"hardware_vfs": 7, "present_vfs": "0-1,6"}, ["enable: sriov_numvfs=7"]),
    (current(A, 7, [0, 1]), {"present_vfs": "1-2"}, ["remove: sriov_remove_vf_id=0", "add: sriov_scan_vf_id=2"]),
    (current(B, 7, [0, 1]), {"present_vfs": "1-2"}, ["add: sriov_scan_vf_id=2"]),
    (current("stock", 7, range(7)), {"present_vfs": "1-2"}, []),
    (current(A, 7, [0, 1], V), {"present_vfs": "1"}, ["unbind: virtfn0/driver/unbind", "remove: sriov_remove_vf_id=0"]),
    (current(A, 7), {"hardware_vfs": 0}, ["disable: sriov_numvfs_no_scan=0"]),
    (current(A, 7, [3]), {"hardware_vfs": 0, "present_vfs": "none"}, ["disable: sriov_numvfs_no_scan=0"]),
    (current("stock", 7, range(7)), {"hardware_vfs": 0, "present_vfs": "none"}, ["disable: sriov_numvfs=0"]),
    (
        current(A, 4),
        {"hardware_vfs": 7},
        ["disable: sriov_numvfs_no_scan=0", "enable: sriov_numvfs_no_scan=7", "add: sriov_scan_vf_id=0-6"],
    ),
    (current(A, 7, [0]), {"drivers_autoprobe": True}, ["autoprobe: sriov_drivers_autoprobe=1"]),
    (
        current(A, 7, [0]),
        {"vfs": [{"ids": 0, "driver": V}]},
        [f"override: virtfn0/driver_override={V}", "bind: drivers_probe"],
    ),
    (
        current(A, 7, [0], "igbvf"),
        {"vfs": [{"ids": 0, "driver": V}]},
        [f"override: virtfn0/driver_override={V}", "unbind: virtfn0/driver/unbind", "bind: drivers_probe"],
    ),
    (current(A, 7, [0], V), {"vfs": [{"ids": "all", "driver": V}]}, []),
    (
        current(A, 7, [0], V),
        {"vfs": [{"ids": 0, "driver": "default"}]},
        ["unbind: virtfn0/driver/unbind", "override: virtfn0/driver_override=\\n"],
    ),
    (
        current(A, 7, [0], bus_drivers=frozenset()),
        {"vfs": [{"ids": 0, "driver": V}]},
        ["load driver", f"override: virtfn0/driver_override={V}", "bind: drivers_probe"],
    ),
    (
        current(A, 7, [5], properties={5: VfProperties(vlan=100, qos=0, spoofchk=True)}),
        {"vfs": [{"ids": 5, "vlan": 100, "spoofchk": False}]},
        ["properties: 5 spoofchk off", "read back"],
    ),
    (
        current(A, 7, [5], properties={5: VfProperties(vlan=100, qos=0, spoofchk=True)}),
        {"vfs": [{"ids": 5, "vlan": 100}]},
        [],
    ),
    (
        current(A, 0, autoprobe=True),
        {"hardware_vfs": 7, "present_vfs": "0-1", "vfs": [{"ids": 1, "driver": V, "trust": True}]},
        [
            "autoprobe: sriov_drivers_autoprobe=0",
            "enable: sriov_numvfs_no_scan=7",
            "properties: 1 trust on",
            "read back",
            "add: sriov_scan_vf_id=1",
            f"override: virtfn1/driver_override={V}",
            "bind: drivers_probe",
            "autoprobe: sriov_drivers_autoprobe=1",
            "add: sriov_scan_vf_id=0",
        ],
    ),
    (
        current(A, 7, [0], autoprobe=True),
        {"present_vfs": "0-1"},
        ["add: sriov_scan_vf_id=1"],
    ),
    (
        current("stock", 0, autoprobe=True),
        {"hardware_vfs": 2, "vfs": [{"ids": 1, "driver": V}]},
        [
            "autoprobe: sriov_drivers_autoprobe=0",
            "enable: sriov_numvfs=2",
            f"override: virtfn1/driver_override={V}",
            "bind: drivers_probe",
            "autoprobe: sriov_drivers_autoprobe=1",
            "bind: drivers_probe",
        ],
    ),
]


@pytest.mark.parametrize(("state", "spec", "steps"), STEPS)
def test_steps(state: PfState, spec: dict[str, Any], steps: list[str]) -> None:
    plan = make(state, spec)
    assert text(plan) == steps
    assert plan.changed == bool(steps)


# current state, request for single VFs, steps
CHANGES: list[tuple[PfState, dict[str, Any], list[str]]] = [
    (current(A, 7, [0, 1], V), {"ids": "1,6"}, ["add: sriov_scan_vf_id=6"]),
    (current(B, 7, [0, 1], V), {"ids": "5-6"}, ["add: sriov_scan_vf_id=5", "add: sriov_scan_vf_id=6"]),
    (current(B, 7, [1], V), {"ids": 0}, ["add: sriov_scan_vf_id=0"]),
    (current("stock", 7, range(7)), {"ids": "all"}, []),
    (
        current(A, 7, [0, 1, 6], V),
        {"ids": "2,6", "state": "absent"},
        ["unbind: virtfn6/driver/unbind", "remove: sriov_remove_vf_id=6"],
    ),
    (current(A, 0), {"ids": "all", "state": "absent"}, []),
    (current(A, 2, [0, 1]), {"ids": "2-6", "state": "absent"}, []),
    (current(B, 7, [0, 1]), {"ids": 1, "state": "absent"}, []),
    (current("stock", 7, range(7)), {"ids": 6, "state": "absent"}, []),
    (
        current(A, 7, [0, 1], "igbvf", properties={i: VfProperties(vlan=9, qos=0) for i in range(7)}),
        {"ids": "1-2", "driver": V, "vlan": 5},
        [
            "properties: 1 vlan 5 qos 0",
            "properties: 2 vlan 5 qos 0",
            "read back",
            "add: sriov_scan_vf_id=2",
            f"override: virtfn1/driver_override={V}",
            f"override: virtfn2/driver_override={V}",
            "unbind: virtfn1/driver/unbind",
            "bind: drivers_probe",
            "bind: drivers_probe",
        ],
    ),
    (
        current("stock", 7, range(7), "igbvf"),
        {"ids": 6, "driver": V},
        [f"override: virtfn6/driver_override={V}", "unbind: virtfn6/driver/unbind", "bind: drivers_probe"],
    ),
]


@pytest.mark.parametrize(("state", "spec", "steps"), CHANGES)
def test_steps_for_single_vfs(state: PfState, spec: dict[str, Any], steps: list[str]) -> None:
    assert text(change(state, spec)) == steps


def test_vfs_must_be_enabled_to_be_added() -> None:
    with pytest.raises(BadInputError, match=f"PF {PF}: ids: 4 is out of range: the highest one is 3; .*enable more"):
        change(current(A, 4, [0]), {"ids": "3-4"})
    with pytest.raises(BadInputError, match=f"PF {PF}: ids: 7 is out of range: the highest one is 6"):
        change(current(A, 4, [0]), {"ids": 7, "state": "absent"})


# current state, spec, steps when allowed, words of the refusal
DISRUPTIVE: list[tuple[PfState, dict[str, Any], list[str], str]] = [
    (
        current(A, 4, [1]),
        {"hardware_vfs": 7},
        ["disable: sriov_numvfs_no_scan=0", "enable: sriov_numvfs_no_scan=7", "add: sriov_scan_vf_id=0-6"],
        "from 4 to 7 requires disabling all VFs first and takes the present VFs 1 away; declare hardware_vfs: 4",
    ),
    (
        current(A, 4, [1]),
        {"hardware_vfs": 0},
        ["disable: sriov_numvfs_no_scan=0"],
        "takes the present VFs 1 away; declare present_vfs: none as well, or allow it with allow_disruptive: true",
    ),
    (
        current("stock", 4, range(4)),
        {"hardware_vfs": 5, "present_vfs": "none"},
        ["disable: sriov_numvfs=0", "enable: sriov_numvfs=5"],
        "takes the present VFs 0-3 away",
    ),
    (
        current("stock", 4, [0, 1]),
        {"present_vfs": "all"},
        ["disable: sriov_numvfs=0", "enable: sriov_numvfs=4"],
        "the kernel's interface 'stock' cannot add VFs 2-3 to those present; that requires disabling all VFs first and "
        "takes the present VFs 0-1 away; allow",
    ),
    (
        current(
            A,
            4,
            [1],
            V,
            properties={1: VfProperties("02:00:00:00:00:01", 5, 0, spoofchk=True), 3: VfProperties(trust=True)},
        ),
        {"hardware_vfs": 2, "present_vfs": "unmanaged", "vfs": [{"ids": 1, "vlan": 6}]},
        [
            "disable: sriov_numvfs_no_scan=0",
            "enable: sriov_numvfs_no_scan=2",
            "properties: 1 mac 02:00:00:00:00:01 vlan 6 qos 0 spoofchk on",
            "read back",
            "add: sriov_scan_vf_id=1",
            f"override: virtfn1/driver_override={V}",
            "bind: drivers_probe",
        ],
        "takes the present VFs 1 away",
    ),
]


@pytest.mark.parametrize(("state", "spec", "steps", "words"), DISRUPTIVE)
def test_refused_unless_allowed(state: PfState, spec: dict[str, Any], steps: list[str], words: str) -> None:
    """`force` is about VFs in use; it allows nothing here."""
    with pytest.raises(RefusedError) as caught:
        plan_host({PF: state}, validate({"pfs": [{"pf": PF, **spec}]}), force=True)
    assert words in str(caught.value)
    plan = make(state, {**spec, "allow_disruptive": True})
    assert text(plan) == steps
    assert any("disabling all VFs first takes the present VFs" in note for note in plan.notes)


def test_reasons_of_all_pfs_are_given() -> None:
    other = "0000:05:00.0"
    states = {PF: current(A, 4, [1]), other: PfState(other, 8, 2, frozenset({0}), interface=A)}
    specs = [{"pf": address, "hardware_vfs": 1} for address in states]
    with pytest.raises(RefusedError, match=f"PF {PF}.*; PF {other}"):
        plan_host(states, validate({"pfs": specs}))


# current state, spec, words of the notes
NOTES: list[tuple[PfState, dict[str, Any], list[str]]] = [
    (current(A, 7), {"present_vfs": "0-3"}, []),
    (current(A, 7), {"present_vfs": "none"}, []),
    (current(A, 7), {"present_vfs": "2"}, ["VFs 0-1 are absent below present ones: libvirt"]),
    (
        current("stock", 7, range(7)),
        {"present_vfs": "0-3"},
        ["cannot leave VFs 4-6 out: present are 0-6 instead of 0-3"],
    ),
    (current("stock", 7, range(7)), {}, []),
    (current(B, 0), {"hardware_vfs": 2, "present_vfs": "1"}, ["cannot leave VFs 0 out: present are 0-1 instead of 1"]),
    (
        current(B, 7, [0, 1, 2]),
        {"present_vfs": "2"},
        [
            "cannot leave VFs 0-1 out: present are 0-2 instead of 2; allow_disruptive: true (with the "
            "role, sriov_allow_disruptive: true) would, by disabling all VFs first, which takes the present VFs 0,2 "
            "away"
        ],
    ),
    (
        current(B, 7, [0, 1, 2]),
        {"present_vfs": "2", "allow_disruptive": True},
        [
            "cannot leave VFs 0 out: present are 0,2 instead of 2",
            "disabling all VFs first takes the present VFs 0,2 away; VFs 0,2 come back as new devices",
            "VFs 1 are absent below",
        ],
    ),
    (
        current(A, 7, [0, 1, 2]),
        {"hardware_vfs": 2, "allow_disruptive": True},
        ["disabling all VFs first takes the present VFs 0-2 away; VFs 0-1 come back as new devices"],
    ),
    (
        current(A, 7, [0, 1]),
        {"hardware_vfs": 0, "allow_disruptive": True},
        ["disabling all VFs first takes the present VFs 0-1 away"],
    ),
    (current(A, 7, [0, 1]), {"hardware_vfs": 2, "present_vfs": "none"}, []),
]


@pytest.mark.parametrize(("state", "spec", "words"), NOTES)
def test_notes(state: PfState, spec: dict[str, Any], words: list[str]) -> None:
    plan = make(state, spec)
    notes = plan.notes
    assert plan.warnings == (), "a note that stands, or a cost that somebody allowed, asks for no action"
    assert len(notes) == len(words)
    assert all(expected in note for expected, note in zip(words, notes))


def test_notes_for_single_vfs() -> None:
    (note,) = change(current("stock", 7, range(7)), {"ids": "6", "state": "absent"}).notes
    assert note.endswith("'stock' cannot leave VFs 6 out: present are 0-6 instead of 0-5")
    (note,) = change(current(A, 7, [0, 1]), {"ids": "3"}).notes
    assert "VFs 2 are absent below present ones" in note
    assert change(current(A, 7, [0, 1]), {"ids": "2", "driver": V}).notes == ()


def test_diff_names_only_what_changes() -> None:
    diff = make(current(A, 7, [0], V), {"present_vfs": "0,2", "vfs": [{"ids": "all", "driver": V}]}).diff(full=True)
    assert diff["before"] == {
        PF: {"hardware_vfs": 7, "present_vfs": "0", "drivers_autoprobe": False,
             "vfs": {"0": {"driver": V}, "2": {"driver": "absent"}}}
    }  # fmt: skip
    assert diff["after"][PF]["vfs"] == {"0": {"driver": V}, "2": {"driver": V}}
    assert make(current(A, 7, [0]), {"present_vfs": "0"}).diff() == {"before": {}, "after": {}}


def test_diff_in_few_lines_has_what_differs() -> None:
    spec = {"present_vfs": "0,2", "vfs": [{"ids": "all", "driver": V, "vlan": 5}]}
    reported = {i: VfProperties(vlan=5 if i < 6 else 0) for i in range(7)}
    diff = make(current(A, 7, [0], V, netdev="eth0", properties=reported), spec).diff()
    assert diff == {
        "before": {PF: {"pf": "present_vfs 0", "vfs 2": "driver absent", "vfs 6": "vlan 0"}},
        "after": {PF: {"pf": "present_vfs 0,2", "vfs 2": f"driver {V}", "vfs 6": "vlan 5"}},
    }


def test_long_lists_are_split() -> None:
    state = PfState(PF, 4096, 4096, interface=A)
    spec = {"present_vfs": ",".join(map(str, range(0, 4096, 2)))}
    values = [step.action.value for step in make(state, spec).steps if isinstance(step.action, Write)]
    assert len(values) == 3
    assert all(len(value) < 4096 for value in values)


def test_nothing_to_plan() -> None:
    assert plan_host({}, HostDocument()) == HostPlan(())


def test_no_hint_where_disabling_all_would_leave_out_no_more() -> None:
    """VF 0 of the narrow interface, which comes with enabling.

    It does so the first time too.
    """
    note = make(current("vf-id-narrow", 0), {"hardware_vfs": 4, "present_vfs": "2"}).notes[0]
    assert note.endswith("cannot leave VFs 0 out: present are 0,2 instead of 2")
