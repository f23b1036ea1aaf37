# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest of `boot_sector`, which counts while it runs."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp

from .boot_sector import TICKS
from .real import Machine


def monitor(machine: Machine, line: str) -> str:
    with _qmp.connect(machine.qmp) as qmp:
        arguments: dict[str, Any] = {"command-line": line}
        return str(qmp.execute("human-monitor-command", **arguments))


def ticks(machine: Machine) -> int:
    return int(monitor(machine, f"xp /1wx {TICKS}").split()[-1], 16)


def wait_for_guest(machine: Machine) -> None:
    until = time.monotonic() + 60
    before = ticks(machine)
    while not before < ticks(machine) < before + 1000:  # memory has anything before the guest's own program runs
        assert time.monotonic() < until, "the guest does not run"
        before = ticks(machine)
        time.sleep(0.2)


def counts_on(machine: Machine) -> bool:
    """Whether the guest's counter grows by as much as it should."""
    before, until = ticks(machine), time.monotonic() + 20
    while ticks(machine) == before and time.monotonic() < until:
        time.sleep(0.05)
    return before < ticks(machine) < before + 1000
