# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the planner's tables: current state, plans, steps as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import vf_request
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.actions import SetEswitch, SetMtu, Write
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState, VfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan.plan import HostPlan, plan_host

PF = "0000:03:00.0"
FOLDER = f"/sys/bus/pci/devices/{PF}"


def current(
    interface: str,
    enabled: int,
    present: Iterable[int] = (),
    driver: str | None = None,
    **more: Any,  # noqa: ANN401 - keyword arguments of several types
) -> PfState:
    present = frozenset(present)
    vfs = {i: VfState(f"0000:04:10.{i}", driver, driver) for i in present}
    more = {"netdev": "eth0", "bus_drivers": frozenset({"igb", "vfio-pci"}), "autoprobe": False, **more}
    return PfState(PF, 7, enabled, present, "igb", interface=interface, vfs=vfs, **more)


def make(state: PfState, spec: dict[str, Any]) -> HostPlan:
    return plan_host({PF: state}, validate({"pfs": [{"pf": PF, **spec}]}))


def change(state: PfState, spec: dict[str, Any]) -> HostPlan:
    """Plan a request of `vf_request`, otherwise as `make`."""
    return plan_host({PF: state}, vf_request.validate({"pf": PF, **spec}))


def text(plan: HostPlan) -> list[str]:
    """The steps of a plan as text.

    Each is its kind and, for a write, file and value; for a program, its words from the VF's id on.
    """
    lines = []
    for step in plan.steps:
        action = step.action
        if isinstance(action, Write):
            file = action.path.replace(f"{FOLDER}/", "").replace("/sys/bus/pci/", "")
            value = f"={action.value}" if action.device is None else ""
            lines.append(f"{step.what}: {file}{value}".replace("\n", "\\n"))
        elif isinstance(action, SetMtu):
            lines.append(f"{step.what}: {action.folder[len(FOLDER) + 1 :]}={action.mtu}")
        elif isinstance(action, SetEswitch):
            lines.append(f"{step.what}: {action.mode}")
        else:
            lines.append(f"{step.what}: {' '.join(getattr(action, 'argv', ())[6:])}".strip(": "))
    return lines
