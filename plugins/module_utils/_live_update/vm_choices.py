# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator says of single VMs, `live_update_vms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._model.errors import BadInputError
from .._vm.record import COLD_START, IN_PLACE, LEAVE, MIGRATE, POLICIES, RESTORE, SHUTDOWN, STRAGGLERS, STRATEGIES
from . import checks

ANNOTATIONS = (
    "name", "priority", "strategy", "to", "cold_start", "straggler", "on_other_kernel", "dry_start", "heartbeat",
    "check",
)  # fmt: skip

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
"""A host's name or address; of IPv6 in brackets, as in URIs."""
CHOICES = {
    "strategy": (IN_PLACE, STRATEGIES, None, ""),
    "straggler": (
        LEAVE, STRAGGLERS, SHUTDOWN, "a VM that is shut down starts from its disk afterwards: say cold_start: true too",
    ),
    "on_other_kernel": (
        RESTORE, POLICIES, COLD_START, "a cold start gives up the VM's memory and must be allowed: say cold_start: "
        f"true too, or choose {RESTORE} or {LEAVE}",
    ),
}  # fmt: skip
"""Policies: default, choices, which starts from disk, what that needs."""


def by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Parse ``live_update_vms`` into annotations by VM name.

    Raises `BadInputError` for an unknown key or a missing name.
    """
    annotations: dict[str, dict[str, Any]] = {}
    for number, item in enumerate(items):
        unknown = sorted(set(item) - set(ANNOTATIONS))
        if unknown or not isinstance(item.get("name"), str):
            raise BadInputError(f"vms[{number}]: {'unknown key ' + unknown[0] if unknown else 'name is missing'}")
        if not isinstance(item.get("priority", 0), int) or not isinstance(item.get("cold_start", False), bool):
            raise BadInputError(f"vms[{number}]: priority is a whole number, cold_start true or false")
        _require_policies(f"vms[{number}]", item)
        checks.parse(item.get("check"), f"vms[{number}].check")
        _require_host(f"vms[{number}]", item)
        annotations[item["name"]] = item
    return annotations


def _require_host(where: str, item: Mapping[str, Any]) -> None:
    """Require the name of a host where one is given."""
    to = item.get("to")
    if to is None:
        return
    if item.get("strategy") != MIGRATE:
        raise BadInputError(f"{where}.to: it is for strategy: {MIGRATE}, which this VM has not")
    if not isinstance(to, str) or not HOST.fullmatch(to):
        raise BadInputError(f"{where}.to: {to!r} is no name or address of a host")


def _require_policies(where: str, item: Mapping[str, Any]) -> None:
    """Require policies that are known and allowed."""
    for key, (default, known, starts, why) in CHOICES.items():
        policy = item.get(key, default)
        if policy not in known:
            raise BadInputError(f"{where}.{key}: {policy!r} is none of {', '.join(known)}")
        if policy == starts and item.get("cold_start") is not True:
            raise BadInputError(f"{where}.{key}: {why}")
