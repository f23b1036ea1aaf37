# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health of a host under a kernel that is tried.

Judged on the host itself: a controller that reaches it by another way may see nothing wrong.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

from .._model.errors import KernelError, SriovError
from .._model.paths import NETDEVS
from .._model.update_deadlines import UPLINK_S
from .._system import arp, icmp
from .._system.process import Run
from .._system.sysfs import Sysfs
from .trial import Trial, Uplink

STARTED = ("running", "degraded")
"""States of systemd once all units were started (systemctl(1), is-system-running)."""
Reach = Callable[[str, str], bool]
"""(address, interface) -> whether it answers."""


def reach(address: str, interface: str) -> bool:
    """Whether a gateway answers: by ARP for IPv4, by ping for IPv6."""
    if ipaddress.ip_address(address).version == 4:
        return arp.ask(address, interface, UPLINK_S) is not None
    return icmp.ping(address, UPLINK_S)


def problems(sysfs: Sysfs, run: Run, trial: Trial, reach: Reach = reach) -> list[str]:
    """Everything that is not well, none for a healthy host."""
    found = [] if trial.runs(sysfs) else [f"the kernel that runs is not {trial.release} ({trial.build})"]
    for one in trial.uplinks:
        found += _uplink(sysfs, one, reach)
    found += _units(run, trial)
    for command in trial.commands:
        try:
            run(list(command))
        except SriovError as error:
            found.append(f"{command[0]}: {error}"[:300])
    return found


def _uplink(sysfs: Sysfs, uplink: Uplink, reach: Reach) -> list[str]:
    try:
        carrier = sysfs.read(f"{NETDEVS}/{uplink.interface}/carrier").strip() == "1"
    except KernelError:  # no such interface, or it is down (EINVAL)
        carrier = False
    if not carrier:
        return [f"{uplink.interface} has no carrier"]
    try:
        answers = uplink.gateway is None or reach(uplink.gateway, uplink.interface)
    except (OSError, ValueError, SriovError) as error:
        return [f"gateway {uplink.gateway} cannot be asked: {error}"]
    return [] if answers else [f"gateway {uplink.gateway} does not answer at {uplink.interface}"]


def _units(run: Run, trial: Trial) -> list[str]:
    try:
        state = run(["systemctl", "show", "--property=SystemState", "--value"]).strip()
        if state not in STARTED:
            return [f"systemd says that the host is '{state}'"]
        new = sorted(set(failed_units(run)) - set(trial.failed_units))
    except SriovError as error:
        return [f"units cannot be read: {error}"]
    return [f"unit {name} has failed, and had not before" for name in new[:5]]


def failed_units(run: Run) -> list[str]:
    """Names of failed units."""
    answer = run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--full"])
    return [line.split()[0] for line in answer.splitlines() if line.split()]


def uplinks(run: Run) -> tuple[Uplink, ...]:
    """Interfaces of the default routes, with their gateways (`ip -json route`)."""
    found: list[Uplink] = []
    for family in ("-4", "-6"):
        try:
            rows: Any = json.loads(run(["ip", family, "-json", "route", "show", "default"]) or "[]")
        except (SriovError, ValueError, RecursionError):
            rows = []
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and isinstance(row.get("dev"), str):
                gateway = row.get("gateway") if isinstance(row.get("gateway"), str) else None
                found.append(Uplink(row["dev"], gateway if family == "-4" else None))
    return tuple(dict.fromkeys(found))
