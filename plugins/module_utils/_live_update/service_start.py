# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of declared services, before VMs.

They have devices and huge pages of their own, which VMs that are started first would take, and no socket to wait for.
Which VM needs which is not known, so all VMs wait; one that cannot be started is no reason to leave them down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._model.deadlines import MONITOR_PAUSE_S
from .._model.errors import SriovError
from .host_services import ACTIVE
from .machine import LiveHost


@dataclass
class Starting:
    """The start of services, for which VMs wait.

    ``within_s``: from `begin` on; ``problems``: what is not active then, in words.
    """

    host: LiveHost
    names: Sequence[str]
    within_s: float
    problems: list[str] = field(default_factory=list)
    _until: float = 0.0
    _asked: bool = False
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> None:
        """Ask systemd to start them, as a boot may start them late."""
        self._until = time.monotonic() + self.within_s
        if self.names:
            try:
                self.host.run(["systemctl", "start", "--no-block", "--", *self.names])
                self._asked = True
            except SriovError as error:
                self.host.log(f"services that VMs need were not started: {error}")

    def wait(self) -> None:
        """Wait until all are active, or cannot be; never fails.

        Several threads share it.
        """
        with self._lock:
            if not self._over:
                self.problems.extend(self._wait())
                self._over = True
                for problem in self.problems:
                    self.host.log(problem)

    def _wait(self) -> list[str]:
        left = dict.fromkeys(self.names, "unknown")
        while left:
            now = {name: self._read(name) for name in left}
            left = {name: state for name, (state, _may_come) in now.items() if state not in ACTIVE}
            if not any(now[name][1] for name in left) or time.monotonic() >= self._until:
                break
            self.host.sleep(MONITOR_PAUSE_S)
        return [
            f"{name} of host_services is {state}, VMs were started without it: see `systemctl status {name}`"
            for name, state in left.items()
        ]

    def _read(self, name: str) -> tuple[str, bool]:
        """(state of a service, whether it may still become active).

        It may while systemd has a job for it, or is at work on it. One that is inactive without a job was not started
        for good, as when something that it needs has failed.
        """
        try:
            shown = self.host.run(["systemctl", "show", "--property=ActiveState,Job", "--", name])
        except SriovError as error:
            return f"unknown ({error})", True
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        state, job = values.get("ActiveState", "unknown"), values.get("Job", "") not in ("", "0")
        over = ("inactive", "failed") if self._asked else ("failed",)
        return state, job or state not in over
