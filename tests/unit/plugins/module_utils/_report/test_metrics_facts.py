# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of a fake host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.metrics import Facts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.metrics_facts import collect
from tests.fake.linux.host import FakeHost

IGB, NVME = "0000:03:00.0", "0000:04:00.0"
COUNTS = {"supported": 7, "hardware": 7, "present": 3, "bound": 3, "held": 1}


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(IGB), 7, [0, 1, 6], "vfio-pci")
    host.hold(host.pfs[IGB], 6)
    host.nvme(NVME)
    return host


def read(host: FakeHost, *pfs: dict[str, Any]) -> Facts:
    facts = collect(host.sysfs, host.run, validate({"pfs": list(pfs)}), None)
    assert (host.sysfs.writes, host.run.calls) == ([], [])
    return facts


# spec for the network PF, what it adds
SPECS: list[tuple[dict[str, Any], dict[str, int]]] = [
    ({}, {"drift": 0}),
    ({"present_vfs": "0-1,6"}, {"drift": 0, "wanted": 3, "surplus": 0}),
    ({"hardware_vfs": "max", "present_vfs": "0-6"}, {"drift": 1, "wanted": 7, "surplus": 0, "hardware_wanted": 7}),
    ({"present_vfs": "0"}, {"drift": 2, "wanted": 1, "surplus": 0}),
    ({"hardware_vfs": 4, "drivers_autoprobe": False}, {"drift": 8, "hardware_wanted": 4}),
]


@pytest.mark.parametrize(("spec", "more"), SPECS)
def test_counts(host: FakeHost, spec: dict[str, Any], more: dict[str, int]) -> None:
    """Counts, also where the desired state is refused.

    VF 6 is in use, another number would remove VFs.
    """
    facts = read(host, {"pf": IGB, **spec})
    assert [(pf.pf, pf.netdev, pf.driver, pf.interface, pf.blocked) for pf in facts.pfs] == [
        (IGB, "eth0", "igb", "vf-id", False),
        (NVME, None, "nvme", "vf-id", False),
    ]
    assert facts.pfs[0].counts == {**COUNTS, **more}
    assert facts.pfs[1].counts == {"supported": 8, "hardware": 0, "present": 0, "bound": 0, "held": 0}
    assert facts.valid is True


# allow_disruptive, drift, surplus: VFs 1-2 can only be left out by disabling all first
NARROW = [(False, 0, 2), (True, 7, 0)]


@pytest.mark.parametrize(("allow", "drift", "surplus"), NARROW)
def test_drift_is_what_an_apply_would_do(tmp_path: Path, allow: bool, drift: int, surplus: int) -> None:
    """No drift for what the interface cannot reach without disruption."""
    host = FakeHost(tmp_path, "vf-id-narrow")
    host.setup(host.igb(IGB), 7, [0, 1, 2])
    facts = read(host, {"pf": IGB, "present_vfs": "0", "allow_disruptive": allow})
    counts = facts.pfs[0].counts or {}
    assert (counts["drift"], counts["surplus"]) == (drift, surplus)


def test_one_selector_for_pfs_of_which_one_may_not_go_there(host: FakeHost) -> None:
    facts = read(host, {"pf": {"numa_node": -1, "all": True}, "hardware_vfs": 4})
    assert [(pf.counts or {})["drift"] for pf in facts.pfs] == [10, 2]


def test_unbound_vfs(host: FakeHost) -> None:
    host.pfs[IGB].vfs[0].driver = None
    host.draw()
    assert (read(host).pfs[0].counts or {})["bound"] == 2


def test_a_document_that_does_not_fit(host: FakeHost) -> None:
    """Counts of the specifications that fit."""
    facts = read(host, {"pf": "eth7", "hardware_vfs": 1}, {"pf": "eth0", "present_vfs": "0"})
    assert facts.valid is False
    assert [(pf.counts or {}).get("drift") for pf in facts.pfs] == [2, None]
    assert [pf.unknown for pf in facts.pfs] == [False, None]
    assert [note.partition(" is ")[0] for note in facts.notes] == ["PF 'eth7'"]


@pytest.mark.parametrize("valid", [None, False])
def test_no_document(host: FakeHost, valid: bool | None) -> None:
    facts = collect(host.sysfs, host.run, None, valid)
    assert facts.valid is valid
    assert facts.pfs[0].counts == COUNTS


def test_each_file_is_read_once(host: FakeHost) -> None:
    """Plans and counts made of the same readings."""
    read(host, {"pf": IGB, "present_vfs": "0", "vfs": [{"ids": 0, "driver": "igbvf", "msix_vectors": 4}]})
    assert [path for path, times in host.sysfs.reads.items() if times > 1] == []


def test_a_blocked_pf(host: FakeHost) -> None:
    host.block(host.pfs[IGB], "/sys/x", "0")
    facts = read(host, {"pf": IGB, "hardware_vfs": 0}, {"pf": NVME, "hardware_vfs": 8})
    assert facts.valid is True
    assert [(pf.blocked, (pf.counts or {}).get("drift")) for pf in facts.pfs] == [(True, None), (False, 2)]
    by_kind = read(host, {"pf": {"driver": "nvme"}, "hardware_vfs": 8})
    assert [(pf.counts or {}).get("drift") for pf in by_kind.pfs] == [None, 2]
