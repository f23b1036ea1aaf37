# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a live update may take by its deadlines. Pure.

A controller that gives up before its hosts do reports as lost what is still at work.
"""

from __future__ import annotations

import math

from .._model.update_deadlines import ACT_LOCK_S, RUN_DELAY_S, SEEN_S, WATCHDOG_S
from .options import Options


def parts(options: Options, vms: int) -> dict[str, float]:
    """Deadlines of phases that follow one another, in seconds.

    Each is the longest of a VM, as all of a phase are at work together; of restores ``restore_at_once`` are.
    """
    rounds = math.ceil(vms / options.restore_at_once)
    return {
        "begin": RUN_DELAY_S + ACT_LOCK_S,
        "unplug_s": options.unplug_s,
        "shutdown_s": options.shutdown_s,
        "copy_s": options.copy_s,
        "migrate_s (save)": options.migrate_s + options.answer_s,
        "answer_s (end)": 2 * options.answer_s,
        "boot_s": max(WATCHDOG_S, options.watchdog_boots * options.boot_s),
        "drivers_s": options.drivers_s,
        "start_s (services)": options.start_s if options.host_services else 0.0,
        "start_s and migrate_s (restore)": rounds * (3 * options.start_s + options.migrate_s),
        "check": SEEN_S,
    }


def longest_s(options: Options, vms: int) -> float:
    """Seconds after which a host has ended its update, or hangs."""
    return round(sum(parts(options, vms).values()), 3)
