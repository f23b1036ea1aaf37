# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the engine that are killed, and runs after them.

The second run has the same specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import HostDocument
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import Report, converge

from ..linux.host import FakeHost
from .faults import KILL, Killed


def actions(report: Report) -> int:
    """The number of `FakeHost`'s actions in a run with these steps."""
    return len([step for step in report.plan.steps if step.what != "read back"])


def kill_and_repeat(host: FakeHost, document: HostDocument, action: int, *, allowed: bool) -> None:
    """Kill the run at an action (from 1), and run again.

    The second run reaches the desired state, by the steps that check mode shows.
    """
    host.faults = {action: KILL}
    with pytest.raises(Killed):
        converge(host.sysfs, host.run, document, allow_disruptive=allowed)
    host.dead = False
    asked = converge(host.sysfs, host.run, document, allow_disruptive=allowed, check=True).to_dict()
    done = converge(host.sysfs, host.run, document, allow_disruptive=allowed).to_dict()
    assert {key: done[key] for key in asked} == asked


def settled(picture: Mapping[str, Any]) -> dict[str, Any]:
    """A picture without overrides for the driver that a VF has.

    Where the desired state names that driver, the override makes no difference.
    """
    return {address: {**pf, "vfs": _without_overrides(pf["vfs"])} for address, pf in picture.items()}


def _without_overrides(vfs: Mapping[int, Any]) -> dict[int, Any]:
    return {i: (own, driver, None if override == driver else override) for i, (own, driver, override) in vfs.items()}
