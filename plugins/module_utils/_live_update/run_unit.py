# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit in which a host carries out its armed update, alone."""

from __future__ import annotations

from .._model.errors import SriovError
from .._model.paths import PROGRAM
from .._model.update_deadlines import RUN_DELAY_S
from .machine import LiveHost

RUN_UNIT = "kvmfleet-live-update.service"


def start(host: LiveHost) -> None:
    """Start the armed update; returns before it begins."""
    host.run([
        "systemd-run", "--quiet", "--no-block", "--collect", f"--unit={RUN_UNIT}",
        "--description=Live update: save VMs and start the new kernel",
        f"--property=ExecStartPre=/bin/sleep {RUN_DELAY_S}",
        f"--property=ExecStopPost={PROGRAM} live-update recover", "--property=TimeoutStopSec=infinity",
        "--", PROGRAM, "live-update", "run",
    ])  # fmt: skip


def state(host: LiveHost) -> str:
    """Its ActiveState, ``unknown`` where systemd does not answer."""
    try:
        return host.run(["systemctl", "show", "--property=ActiveState", "--value", RUN_UNIT]).strip()
    except SriovError:
        return "unknown"


def is_active(host: LiveHost) -> bool:
    return state(host) in ("active", "activating")
