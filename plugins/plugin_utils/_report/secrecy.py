# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence without secrets of VMs and words of their tenants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .report import PATTERN, is_heartbeat

KEPT = (
    "schema", "id", "created", "host", "boot_id", "kernel", "budget_s", "options", "pfs", "modules",
)  # fmt: skip
KEPT_OF_VM = ("name", "backend", "unit", "priority", "cold_start", "vfs")
"""Members of a manifest, and of its VMs, that the controller keeps.

The part of a VM's backend is not among them: it has the VM's command line and its environment.
"""
SECRET = re.compile(r"(?i)\b((?:[\w.-]*(?:password|passwd|passphrase|secret|token)|data)=)[^\s,\"'\\]+")


def without_secrets(text: str) -> str:
    """Text without the values of secrets, as in ``password=x``."""
    return SECRET.sub(r"\1***", text)


def public_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What of a manifest leaves its host."""
    kept = {name: manifest[name] for name in KEPT if name in manifest}
    if "kernel" in kept:
        kept["kernel"] = {name: _cleaned(value) for name, value in dict(kept["kernel"]).items()}
    vms = [{name: vm[name] for name in KEPT_OF_VM if name in vm} for vm in manifest["vms"]]
    return {**kept, "vms": vms}


def _cleaned(value: object) -> object:
    return without_secrets(value) if isinstance(value, str) else value


def heartbeats_alone(log: str, pattern: str = PATTERN) -> str:
    """The lines of a guest's log that are heartbeats.

    Its console is its tenant's.
    """
    wanted = re.compile(pattern)
    return "".join(f"{line}\n" for line in log.split("\n") if is_heartbeat(line, wanted))
