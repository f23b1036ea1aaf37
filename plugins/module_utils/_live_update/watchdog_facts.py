# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watchdogs of a host (Documentation/ABI/testing/sysfs-class-watchdog)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._model.errors import KernelError, SriovError
from .._system.process import Run
from .._system.sysfs import Sysfs

CLASS = "/sys/class/watchdog"
POLICY = "/sys/module/watchdog/parameters/stop_on_reboot"
"""Whether watchdogs are stopped at a reboot or kexec.

0: none, 1: all, -1: as its driver has it (Linux 5.7 or newer).
"""
STOPPED = (
    "iTCO_wdt", "i6300esb", "wdat_wdt", "sp5100_tco", "softdog", "it87_wdt", "w83627hf_wdt", "f71808e_wdt", "mei_wdt",
    "xen_wdt", "lenovo_se10_wdt",
)  # fmt: skip
"""Modules of drivers that stop their watchdog at a kexec by themselves.

Linux 6.12, callers of watchdog_stop_on_reboot in drivers/watchdog; hpwdt is none.
"""
SOFTWARE = "softdog"
OF_IDENTITY = {"Software Watchdog": SOFTWARE, "i6300ESB timer": "i6300esb"}
"""Modules of drivers whose watchdogs have no device in sysfs.

They set no parent (seen on Linux 6.12).
"""
NUMBER = re.compile(r"\d{1,9}", re.ASCII)
SYSTEMD, ANOTHER = "systemd", "another program"


@dataclass(frozen=True)
class Watchdog:
    """A watchdog, times in seconds.

    ``active``: somebody has it open; ``holder``: who; ``module``: of its driver, None when unknown; ``max_timeout_s``:
    0 when unknown; ``stops``: whether it is known to stop at the kexec.
    """

    name: str
    identity: str
    active: bool
    timeout_s: float
    max_timeout_s: float = 0.0
    pretimeout_s: float = 0.0
    nowayout: bool = False
    module: str | None = None
    holder: str = ""
    stops: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.identity})"


def find(sysfs: Sysfs, run: Run) -> list[Watchdog]:
    """Find the watchdogs, and who has those that are active.

    State and timeout exist with CONFIG_WATCHDOG_SYSFS; without it a watchdog is not known.
    """
    names = [name for name in sysfs.names(CLASS) if sysfs.exists(f"{CLASS}/{name}/timeout")]
    names = [name for name in names if re.fullmatch(r"watchdog\d{1,4}", name, re.ASCII) and _text(sysfs, name, "state")]
    active = any(_text(sysfs, name, "state") == "active" for name in names)
    holder = _holder(run) if active else ""
    return [_one(sysfs, name, holder) for name in names]


def _one(sysfs: Sysfs, name: str, holder: str) -> Watchdog:
    identity, active = _text(sysfs, name, "identity"), _text(sysfs, name, "state") == "active"
    module = sysfs.link(f"{CLASS}/{name}/device/driver/module") or OF_IDENTITY.get(identity)
    return Watchdog(
        name, identity, active, _number(sysfs, name, "timeout"), _number(sysfs, name, "max_timeout"),
        _number(sysfs, name, "pretimeout"), _text(sysfs, name, "nowayout") == "1", module, holder if active else "",
        _stops(sysfs, module),
    )  # fmt: skip


def _stops(sysfs: Sysfs, module: str | None) -> bool:
    """Whether a watchdog is known to be stopped at a kexec."""
    try:
        policy = sysfs.read(POLICY)
    except KernelError:
        policy = "-1"
    return module == SOFTWARE or policy == "1" or (policy != "0" and module in STOPPED)


def _holder(run: Run) -> str:
    """Who has an active watchdog open: systemd when it feeds one.

    It shows a time like ``1min 30s``, ``0`` or ``infinity`` (systemd-system.conf(5), RuntimeWatchdogSec=).
    """
    try:
        answer = run(["systemctl", "show", "--property=RuntimeWatchdogUSec", "--value"]).strip()
    except SriovError:
        answer = ""
    return SYSTEMD if re.match("[1-9]", answer) else ANOTHER


def _text(sysfs: Sysfs, name: str, file: str) -> str:
    try:
        return sysfs.read(f"{CLASS}/{name}/{file}")[:64]
    except KernelError:
        return ""


def _number(sysfs: Sysfs, name: str, file: str) -> float:
    text = _text(sysfs, name, file)
    return float(text) if NUMBER.fullmatch(text) else 0.0
