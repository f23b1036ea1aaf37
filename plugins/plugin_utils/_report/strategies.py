# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are not saved: shut down, or moved to other hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import IN_PLACE


def of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Members of the report from what the controller has kept.

    ``moved``: names of VMs; ``strategies``: those that are not the default, by the VM's name.
    """
    moved, chosen = about.get("moved"), about.get("strategies")
    return {
        "moved": [one for one in moved if isinstance(one, str)] if isinstance(moved, list) else [],
        "strategies": {
            str(name): str(one) for name, one in chosen.items() if one != IN_PLACE
        } if isinstance(chosen, Mapping) else {},
    }  # fmt: skip


def shown(host: Mapping[str, Any], vm: str) -> str:
    """A VM's strategy in a line of it; empty for the default."""
    chosen = host["strategies"].get(vm)
    return f", strategy {printable(chosen)}" if chosen else ""


def left(host: Mapping[str, Any]) -> str:
    """A line with the VMs that have left a host, or empty."""
    return f"moved to other hosts before: {', '.join(printable(one) for one in host['moved'])}" if host["moved"] else ""
