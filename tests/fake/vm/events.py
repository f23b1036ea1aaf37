# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of the kernel, played."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.newcomers import KVM
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.uevents import Uevents


class FakeUevents(Uevents):
    """``lost``: whether the next reader has missed some."""

    def __init__(self) -> None:
        self.waiting: list[Mapping[str, str]] = []
        self.lost = False
        self.reads = 0

    def kvm(self, event: str, pid: int | str) -> None:
        self.waiting.append({"ACTION": "change", "DEVPATH": KVM, "EVENT": event, "PID": str(pid)})

    def read(self) -> tuple[list[Mapping[str, str]], bool]:
        self.reads += 1
        found, lost = self.waiting, self.lost
        self.waiting, self.lost = [], False
        return found, lost
