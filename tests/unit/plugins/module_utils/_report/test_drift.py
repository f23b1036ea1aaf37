# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift of a host from its document, as far as known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import drift as _drift
from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.drift import Drift
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from tests.fake.linux.host import FakeHost

IGB, NVME, MLX5 = "0000:03:00.0", "0000:04:00.0", "0000:05:00.0"
NO_PROGRAM = "ended with status 127: cannot run it: No such file or directory"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.setup(host.igb(IGB), 7, [0, 1, 6], "vfio-pci")
    host.hold(host.pfs[IGB], 6)
    host.nvme(NVME)
    host.mlx5(MLX5, netdev="eth5")
    return host


def read(host: FakeHost, *pfs: dict[str, Any]) -> Drift:
    drift = _drift.read(host.sysfs, host.run, validate({"pfs": list(pfs)}))
    assert (host.sysfs.writes, host.run.calls) == ([], [])
    return drift


def steps(drift: Drift) -> dict[str, int | None]:
    return {address: drift.steps(address) for address in sorted(drift.declared)}


def test_steps_also_where_going_there_is_refused(host: FakeHost) -> None:
    drift = read(host, {"pf": IGB, "hardware_vfs": 4}, {"pf": NVME})
    assert (steps(drift), drift.steps(MLX5)) == ({IGB: 10, NVME: 0}, None)
    assert (drift.problems, drift.unread) == ([], {})


# programs that are missing, specs, steps, PFs that could not be compared
UNREAD: list[tuple[set[str], list[dict[str, Any]], dict[str, int | None], dict[str, str]]] = [
    (
        {"devlink"}, [{"pf": MLX5, "eswitch_mode": "switchdev"}, {"pf": NVME, "hardware_vfs": 8}],
        {MLX5: None, NVME: 2},
        {MLX5: f"'devlink -j dev eswitch show pci/{MLX5}' {NO_PROGRAM}"},
    ),
    (
        {"ip"}, [{"pf": IGB, "vfs": [{"ids": 0, "vlan": 5}]}, {"pf": MLX5, "hardware_vfs": 1}], {IGB: None, MLX5: 2},
        {IGB: f"'ip -json -details link show dev eth0' {NO_PROGRAM}"},
    ),
    (
        {"ip"}, [{"pf": {"class": "ethernet", "all": True}, "mtu": 1400}], {IGB: None, MLX5: None},
        {
            IGB: f"'ip -json -details link show dev eth0' {NO_PROGRAM}",
            MLX5: f"'ip -json -details link show dev eth5' {NO_PROGRAM}",
        },
    ),
    (
        {"ip"}, [{"pf": {"numa_node": -1, "all": True}, "hardware_vfs": 7}], {IGB: 0, NVME: 2, MLX5: 2}, {},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("missing", "specs", "found", "unread"), UNREAD)
def test_what_cannot_be_read_hides_nothing_else(
    host: FakeHost,
    missing: set[str],
    specs: list[dict[str, Any]],
    found: dict[str, int | None],
    unread: dict[str, str],
) -> None:
    host.run.missing = missing
    drift = read(host, *specs)
    assert (steps(drift), drift.unread, drift.problems) == (found, unread, [])


def test_below_another_root(host: FakeHost) -> None:
    document = validate({"pfs": [{"pf": IGB, "vfs": [{"ids": 0, "vlan": 5}]}, {"pf": NVME, "hardware_vfs": 8}]})
    drift = _drift.read(host.sysfs, process.refuse, document)
    assert steps(drift) == {IGB: None, NVME: 2}
    assert "is not run below another root" in drift.unread[IGB]


def test_what_does_not_fit(host: FakeHost) -> None:
    """Specifications that do not fit, each named once.

    Other PFs are compared.
    """
    drift = read(
        host, {"pf": "eth7"}, {"pf": IGB, "hardware_vfs": 8}, {"pf": NVME, "hardware_vfs": 9},
        {"pf": MLX5, "hardware_vfs": 1},
    )  # fmt: skip
    assert steps(drift) == {IGB: None, NVME: None, MLX5: 2}
    assert [problem.partition(" is ")[0] for problem in drift.problems] == [
        "PF 'eth7'", f"PF {IGB}: hardware_vfs 8", f"PF {NVME}: hardware_vfs 9",
    ]  # fmt: skip
    assert drift.unread == {}


def test_a_pf_declared_twice_is_a_problem_though_each_spec_fits(host: FakeHost) -> None:
    drift = read(host, {"pf": IGB}, {"pf": "eth0", "hardware_vfs": 7})
    assert len(drift.problems) == 1
    assert steps(drift) == {IGB: 0}


def test_a_blocked_pf_is_declared_and_nothing_more(host: FakeHost) -> None:
    host.block(host.pfs[IGB], "/sys/x", "0")
    drift = read(host, {"pf": {"numa_node": -1, "all": True}, "hardware_vfs": 7})
    assert (steps(drift), drift.problems, drift.unread) == ({IGB: None, NVME: 2, MLX5: 2}, [], {})
