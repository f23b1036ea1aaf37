# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reported phases of several VMs: together they are each one's outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import outage, report
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, result

RESTORES = {"a": 0.05, "b": 0.3, "c": 0.1, "d": 0.15}
"""Seconds that each VM's restore takes, those of the highest priority first."""


def played(node: FakeNode, at_once: int) -> dict[str, Any]:
    """An update of four VMs, one of them without a VF."""
    pf = node.igb()
    for number, name in enumerate(RESTORES):
        node.vm(name, pf if name != "d" else None, number)
    priorities = [{"name": name, "priority": 9 - number} for number, name in enumerate(RESTORES)]
    arm(node, vms=vm_choices.by_name(priorities), options=replace(OPTIONS, restore_at_once=at_once))
    with pytest.raises(Rebooted):
        save.run(node.live)
    restore = node.qemu.restore

    def slowly(
        vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        time.sleep(RESTORES[vm.name])
        restore(vm, state, form, start, before_run)

    object.__setattr__(node.qemu, "restore", slowly)
    time.sleep(0.1)  # the boot
    assert resume.resume(node.live) == "done"
    return result(node)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_the_phases_of_each_vm_are_its_outage(node: FakeNode, at_once: int) -> None:
    """Without a gap, and without anything counted twice."""
    found = played(node, at_once)
    phases = found["phases"]
    assert [one["end"] for one in phases[:-1]] == [one["start"] for one in phases[1:]]
    vms = {vm["name"]: report.vm_report(vm, (), phases) for vm in found["vms"]}
    assert set(vms) == set(RESTORES)
    for name, vm in vms.items():
        assert vm["outage_s"] == pytest.approx(vm["resumed_at"] - vm["paused_at"], abs=1e-5), name
        parts = [part["name"] for part in vm["parts"]]
        assert outage.UNEXPLAINED not in parts, name
        assert len(parts) == len(set(parts)), name
        assert sum(part["s"] for part in vm["parts"]) == pytest.approx(vm["outage_s"], abs=0.01), name
        assert min(part["s"] for part in vm["parts"]) > 0
        restoring = next(part["s"] for part in vm["parts"] if part["name"] == "restoring")
        assert restoring >= RESTORES[name], name
    if at_once == 1:
        assert vms["a"]["outage_s"] < vms["b"]["outage_s"] < vms["c"]["outage_s"]
