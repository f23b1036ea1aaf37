# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance cases on the fake kernel.

They state what kernels must do; a fake that differs is no model of them.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake.linux.host import FakeHost

ENGINE = "ansible_collections.kvmfleet.sriov.plugins.module_utils"
CASES = Path(__file__).resolve().parents[2] / "conformance"
sys.path[:0] = [str(CASES), str(CASES / "engine")]
# On a host the cases find the engine under the name it has in the node program: here these must be the same modules.
package = importlib.import_module(ENGINE)
for module in pkgutil.walk_packages(package.__path__, f"{ENGINE}."):
    sys.modules[f"kvmfleet_sriov{module.name[len(ENGINE) :]}"] = importlib.import_module(module.name)
sys.modules["kvmfleet_sriov"] = package
harness = importlib.import_module("harness")
many_vfs = importlib.import_module("many_vfs")
ALL = harness.collect([importlib.import_module(path.stem) for path in sorted(CASES.rglob("cases_*.py"))])
TOTALS = {"igb": 7, "nvme": 8}
RUNS = [
    (one, interface, kind)
    for one in ALL
    for interface in one.interfaces
    for kind, total in TOTALS.items()
    if interface != "hw-numvfs" and not one.real_only and one.vfs <= total
]


def test_every_case_runs_somewhere_or_is_for_real_kernels_with_many_vfs() -> None:
    left_out = {one.name for one in ALL if not one.real_only and one.vfs <= 8} - {one.name for one, _, _ in RUNS}
    assert len(ALL) > 20
    assert left_out == set()


@pytest.mark.parametrize("interface", ["vf-id", "stock"])
def test_cases_about_thousands_of_vfs_hold_for_few(tmp_path: Path, interface: str) -> None:
    """Cases about thousands of VFs, on a fake with 64.

    The fake redraws its tree at every write, so thousands take it minutes.
    """
    host = FakeHost(tmp_path / "root", interface)
    pf = harness.Pf(host.sysfs, host.nvme(total=64).address)
    many = [one for one in ALL if one.vfs >= many_vfs.MANY and not one.real_only and interface in one.interfaces]
    rows = harness.run_cases(pf, [dataclasses.replace(one, vfs=64) for one in many], f"fake-{interface}")
    assert rows
    assert [row.reason for row in rows if row.result != "pass"] == []


@pytest.mark.parametrize(
    ("one", "interface", "kind"),
    RUNS,
    ids=lambda value: getattr(value, "name", value),
)
def test_case(tmp_path: Path, one: Any, interface: str, kind: str) -> None:  # noqa: ANN401 - a case of the harness, which the host imports by itself
    host = FakeHost(tmp_path / "root", interface)
    host.drivers.add("pcieport")  # of the bus, as on all hosts
    host.reluctant.add("pcieport")
    pfs = {name: getattr(host, name)() for name in TOTALS}
    pf = pfs[kind]
    row = harness.run_case(harness.Pf(host.sysfs, pf.address), one, f"fake-{interface}", str)
    allowed = {("pass", "")} if kind == "igb" else {("pass", ""), ("skip", "needs a PF with a network interface")}
    assert (row.result, row.reason) in allowed
