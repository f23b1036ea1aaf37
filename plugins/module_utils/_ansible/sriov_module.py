# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Result of `sriov_pf`, and options that `sriov_vf` shares with it."""

from __future__ import annotations

from typing import Any

from .._document.document import HostDocument, validate
from .._engine.converge import Report, converge
from .._engine.last_apply import recorded
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.update_guard import refuse_during_update
from .module import Module

VF_OPTIONS: dict[str, Any] = {
    "ids": {"type": "raw", "required": True},
    "driver": {"type": "str"},
    # BEGIN GENERATED vf options: `make generate` writes it from property_table.py
    "mac": {"type": "str"},
    "vlan": {"type": "str"},
    "qos": {"type": "int"},
    "vlan_proto": {"type": "str", "choices": ["802.1q", "802.1ad"]},
    "max_tx_rate": {"type": "int"},
    "min_tx_rate": {"type": "int"},
    "spoofchk": {"type": "bool"},
    "trust": {"type": "bool"},
    "query_rss": {"type": "bool"},
    "link_state": {"type": "str", "choices": ["auto", "enable", "disable"]},
    "node_guid": {"type": "str"},
    "port_guid": {"type": "str"},
    "msix_vectors": {"type": "int"},
    "mtu": {"type": "int"},
    "name": {"type": "str"},
    # END GENERATED
}
PFS_OPTION: dict[str, Any] = {"type": "list", "elements": "raw", "required": True}
"""The PFs, checked by the document's validation.

Ansible names the first mistake alone, and not its place.
"""
ALLOW_OPTIONS: dict[str, Any] = {
    "force": {"type": "bool", "default": False},
    "allow_disruptive": {"type": "bool", "default": False},
}


DETAIL_OPTION: dict[str, Any] = {"type": "str", "choices": ["summary", "full"], "default": "summary"}


def is_full(module: Module) -> bool:
    """Whether the result is to have each VF."""
    return bool(module.params["detail"] == "full")


def declare(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Result of `sriov_pf`, the same in check mode, less the times."""
    if module.check_mode:
        return _declared(module, sysfs, run)
    return recorded(sysfs, lambda: _declared(module, sysfs, run))


def _declared(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    document = validate({"pfs": module.params["pfs"]})
    result = converged(module, sysfs, run, document).to_dict(is_full(module), module._diff)
    return {**result, "document": document.to_dict()} if is_full(module) else result


def converged(module: Module, sysfs: Sysfs, run: Run, document: HostDocument) -> Report:
    """Converge, or plan in check mode.

    Notes that ask for an action become warnings.
    """
    if not module.check_mode:
        refuse_during_update(sysfs)
    allowed = {name: module.params[name] for name in ALLOW_OPTIONS}
    report = converge(sysfs, run, document, check=module.check_mode, **allowed)
    for warning in report.plan.warnings:
        module.warn(warning)
    return report
