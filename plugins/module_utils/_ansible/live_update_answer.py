# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of the live update's modules."""

from __future__ import annotations

from typing import Any

from .._live_update import leaving
from .._live_update.arm import Request
from .._live_update.estimate import interface_after
from .._live_update.facts import Facts
from .._live_update.longest import longest_s
from .._live_update.machine import LiveHost
from .._live_update.manifest import Manifest
from .._live_update.preflight import Verdict


def preflight(facts: Facts, verdict: Verdict, wanted: Request, host: LiveHost) -> dict[str, Any]:
    """The verdict, and the facts that it rests on."""
    said = leaving.all_words(facts, host.backends, wanted.options, wanted.vms)
    return {
        **verdict.to_dict(),
        "moves": [{"name": name, "words": list(words)} for name, words in said.items()],
        "moves_s": leaving.longest_s(facts.leaving, wanted.options),
        "kernel_before": facts.kernel.running,
        "kernel_after": facts.kernel.release,
        "kernel_runs": facts.kernel.is_running,
        "estimate_basis": dict(wanted.basis),
        "longest_s": longest_s(wanted.options, len(facts.vms)),
        "interface_after": interface_after(facts, wanted.options).name,
        "vms": [
            {"name": vm.name, "pid": vm.pid, "unit": vm.unit, "strategy": facts.strategy(vm),
             "vfs": [vf.address for vf in vm.vfs]} for vm in (*facts.vms, *facts.leaving)
        ],
        "pfs": [
            {"pf": pf.address, "driver": pf.driver, "enabled": pf.enabled, "present": len(pf.present),
             "interface": pf.interface} for pf in facts.pfs.values()
        ],
    }  # fmt: skip


def short(manifest: Manifest | None) -> dict[str, Any]:
    """A manifest as a diff shows it.

    Without its id and times, which differ every time and mean nothing.
    """
    if manifest is None:
        return {}
    return {
        "kernel": manifest.kernel.release_after,
        "budget_s": manifest.budget_s,
        "vms": {vm.name: [vf.address for vf in vm.vfs] for vm in manifest.vms},
        "pfs": {pf.pf: pf.present_vfs for pf in manifest.pfs},
    }
