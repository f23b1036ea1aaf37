# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware's watchdog while a kernel is tried, fed by systemd."""

from __future__ import annotations

from collections.abc import Callable

from .._model.errors import SriovError
from .._system.process import Run

MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
OFF = ("0", "")


class Watchdog:
    """A watchdog that systemd opens and feeds for us (`RuntimeWatchdogUSec`).

    One that systemd feeds by its own settings stays as it is. Without a watchdog systemd does nothing.
    """

    def __init__(self, run: Run, log: Callable[[str], None]) -> None:
        self._run, self._log, self._ours, self._failed = run, log, False, ""

    def start(self, seconds: int) -> None:
        """Have a hang reset the host after ``seconds``; 0 for nothing.

        Called again and again: early in a boot there is no bus yet.
        """
        if seconds <= 0 or self._ours:
            return
        try:
            fed = self._run(["systemctl", "show", "--property=RuntimeWatchdogUSec", "--value"]).strip()
            if fed in OFF:
                self._set(seconds)
                self._ours = True
        except SriovError as error:
            if str(error) != self._failed:
                self._log(f"no watchdog guards this kernel: {error}")
            self._failed = str(error)

    def stop(self) -> None:
        """Take it back, where `start` has set it."""
        if self._ours:
            try:
                self._set(0)
            except SriovError as error:
                self._log(f"the watchdog goes on, fed by systemd: {error}")

    def _set(self, seconds: int) -> None:
        self._run(["busctl", "set-property", *MANAGER, "RuntimeWatchdogUSec", "t", str(seconds * 1_000_000)])
