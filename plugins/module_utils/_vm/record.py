# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a VM in the manifest of a live update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._model.properties import VfProperties

LEAVE, SHUTDOWN, RESTORE, COLD_START = "leave", "shutdown", "restore", "cold-start"
IN_PLACE, MIGRATE = "in-place", "migrate"
STRATEGIES = (IN_PLACE, MIGRATE, SHUTDOWN, LEAVE)
"""What an update does with a VM."""

STRAGGLERS = (LEAVE, SHUTDOWN)
"""Policies for a VM that does not release its VFs in time."""

POLICIES = (RESTORE, COLD_START, LEAVE)
"""Policies for a saved VM on another kernel than the armed one."""


@dataclass(frozen=True)
class ManifestVf:
    """A VF of a VM, with the properties for its return."""

    pf: str
    id: int
    address: str
    properties: VfProperties


@dataclass(frozen=True)
class ManifestVm:
    """A VM's state while arming.

    ``strategy``: one of `STRATEGIES`; ``straggler``: one of `STRAGGLERS`; ``on_other_kernel``: one of `POLICIES`;
    ``check``: how the host sees that its VFs work, empty where it does not; ``part``: data for its backend alone.
    """

    name: str
    backend: str
    priority: int
    pid: int
    started: int
    unit: str
    cold_start: bool
    straggler: str
    on_other_kernel: str
    check: Mapping[str, Any]
    vfs: tuple[ManifestVf, ...]
    part: Mapping[str, Any]
    strategy: str = IN_PLACE
