# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fewest entries of a document that declare the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.vf_groups import vf_groups
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model import addresses, vf_ids

VFIO = {"driver": "vfio-pci"}

# specs by VF id, number of VFs, entries
GROUPS: list[tuple[dict[int, dict[str, Any]], int | None, list[dict[str, Any]]]] = [
    ({}, 4, []),
    ({0: VFIO, 1: VFIO}, 4, [{"ids": "0-1", **VFIO}]),
    ({0: VFIO, 1: VFIO}, 2, [{"ids": "all", **VFIO}]),
    ({0: VFIO, 1: VFIO}, None, [{"ids": "0-1", **VFIO}]),
    ({0: VFIO}, 1, [{"ids": "0", **VFIO}]),
    ({3: {**VFIO, "trust": True}}, None, [{"ids": "3", **VFIO, "trust": True}]),
    (
        {0: {**VFIO, "vlan": 5}, 1: {**VFIO, "vlan": 6}, 2: {**VFIO, "vlan": 5}, 5: VFIO},
        None,
        [{"ids": "0-2,5", **VFIO}, {"ids": "0,2", "vlan": 5}, {"ids": "1", "vlan": 6}],
    ),
    ({0: {"vlan": 5}, 1: {"vlan": 5, "qos": 3}}, None, [{"ids": "0", "vlan": 5}, {"ids": "1", "vlan": 5, "qos": 3}]),
    (
        {0: {"min_tx_rate": 1, "max_tx_rate": 9}, 1: {"max_tx_rate": 9}},
        None,
        [{"ids": "0", "min_tx_rate": 1, "max_tx_rate": 9}, {"ids": "1", "max_tx_rate": 9}],
    ),
    (
        {3: {"mac": "02:00:00:00:01:00"}, 4: {"mac": "02:00:00:00:01:01", **VFIO}, 9: {"mac": "02:00:00:00:00:09"}},
        None,
        [{"ids": "3-4", "mac": "02:00:00:00:00:fd+id"}, {"ids": "4", **VFIO}, {"ids": "9", "mac": "02:00:00:00:00:09"}],
    ),
    (
        {0: {"node_guid": "00:00:00:00:00:00:00:00"}, 1: {"node_guid": "00:00:00:00:00:00:00:01"}},
        None,
        [{"ids": "0", "node_guid": "00:00:00:00:00:00:00:00"}, {"ids": "1", "node_guid": "00:00:00:00:00:00:00:01"}],
    ),
    (
        {0: {"mac": "02:00:00:00:00:01", "trust": True}, 1: {"mac": "02:00:00:00:00:01", "trust": True}},
        None,
        [
            {"ids": "0-1", "trust": True},
            {"ids": "0", "mac": "02:00:00:00:00:01"},
            {"ids": "1", "mac": "02:00:00:00:00:01"},
        ],
    ),
]


@pytest.mark.parametrize(("specs", "number", "entries"), GROUPS)
def test_groups(specs: dict[int, dict[str, Any]], number: int | None, entries: list[dict[str, Any]]) -> None:
    assert vf_groups(specs, number) == entries
    validate({"pfs": [{"pf": "eth0", "vfs": entries}]})


SPEC = st.fixed_dictionaries(
    {},
    optional={
        "driver": st.sampled_from(["vfio-pci", "igbvf"]),
        "mac": st.sampled_from(["02:00:00:00:00:01", "02:00:00:00:00:02"]),
        "trust": st.booleans(),
        "vlan": st.integers(1, 3),
        "max_tx_rate": st.integers(0, 2),
    },
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.integers(0, 6), SPEC), st.none() | st.integers(7, 9))
def test_entries_declare_the_same(specs: dict[int, dict[str, Any]], number: int | None) -> None:
    entries = vf_groups(specs, number)
    validate({"pfs": [{"pf": "eth0", "vfs": entries}]})
    declared: dict[int, dict[str, Any]] = {}
    for entry in entries:
        for vf_id in vf_ids.parse(entry["ids"], number or 7):
            values = {key: value for key, value in entry.items() if key != "ids"}
            if "mac" in values:
                values["mac"] = addresses.address(values["mac"], vf_id, None)
            assert not set(declared.get(vf_id, {})) & set(values)
            declared[vf_id] = {**declared.get(vf_id, {}), **values}
    assert declared == {vf_id: spec for vf_id, spec in specs.items() if spec}
