# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a live update as a table."""

from __future__ import annotations


def rows(found: dict[str, list[dict[str, object]]]) -> list[str]:
    """Phases with their seconds, then VMs with their results."""
    lines = []
    for phase in found.get("phases", []):
        start, end = phase["start"], phase["end"]
        seconds = f"{end - start:8.2f} s" if isinstance(start, float) and isinstance(end, float) else "   running"
        lines.append(f"  {phase['name']:<12}{seconds}")
    lines.extend(
        f"  VM {vm['name']:<20} {vm['result']}{_seen(vm)}  {vm['error'] or ''}".rstrip() for vm in found.get("vms", [])
    )
    return lines


def _seen(vm: dict[str, object]) -> str:
    """Whether its VFs were seen to work, where its host looks."""
    if vm.get("seen_by") is None:
        return ""
    return f", VF seen by {vm['seen_by']}" if vm.get("seen_at") else f", VF not seen: {vm.get('not_seen')}"
