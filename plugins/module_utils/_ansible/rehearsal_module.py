# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module of rehearsals: arguments and results."""

from __future__ import annotations

from typing import Any

from .._live_update import act_lock, rehearse_disks
from .._live_update.machine import LiveHost
from .._model.errors import BadInputError
from .module import Module


def declare(module: Module, host: LiveHost) -> dict[str, Any]:
    """Rehearse on a host; returns the result of `live_update_rehearsal`.

    No update begins meanwhile.
    """
    mib = module.params["size_mib"]
    if not 16 <= mib <= 65536:
        raise BadInputError(f"size_mib: {mib} is not between 16 and 65536")
    if module.check_mode:
        before, after = rehearse_disks.run(host, mib, check_mode=True)
    else:
        with act_lock.held(host.sysfs):
            before, after = rehearse_disks.run(host, mib, check_mode=False)
    return {
        "changed": True,
        "rehearsal": after.to_dict(),
        "diff": {"before": before.to_dict(), "after": after.to_dict()},
    }
