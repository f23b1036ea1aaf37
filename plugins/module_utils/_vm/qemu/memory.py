# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a QEMU's guest."""

from __future__ import annotations

from .qmp import Qmp


def size(qmp: Qmp) -> int:
    """Its size in bytes, of its start and plugged since (qapi/machine.json)."""
    found = qmp.execute("query-memory-size-summary")
    return int(found["base-memory"]) + int(found.get("plugged-memory", 0))
