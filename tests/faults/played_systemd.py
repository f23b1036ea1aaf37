# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd of a played host, whose units outlive its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from tests.fake.vm.systemd import FakeSystemd, expanded

if TYPE_CHECKING:
    from .played import PlayedHost

WELL = "well-"
"""Name's begin of a file for a QEMU that ended well."""
RUN_UNIT = "kvmfleet-live-update.service"


class PlayedSystemd(FakeSystemd):
    """Units are real QEMUs; the update's own is a file."""

    def __init__(self, host: PlayedHost) -> None:
        super().__init__(host)
        self.host = host

    def _systemd_run(self, words: list[str]) -> str:
        unit = next(word.partition("=")[2] for word in words if word.startswith("--unit="))
        argv = [expanded(word) for word in words[words.index("--") + 1 :]]
        if any(one.alive and one.unit == unit for one in self.host.units()):
            raise ToolError(words, 1, f"Unit {unit} was already loaded")
        if argv[0].startswith("qemu"):
            self.host.launch(argv, unit)
        elif unit == RUN_UNIT:
            (self.host.folder / unit).touch()
        return ""

    def _ended(self, unit: str) -> str:
        well = any((self.host.folder / f"{WELL}{one.pid}").exists() for one in self.host.units() if one.unit == unit)
        return f"LoadState=loaded\nActiveState=inactive\nResult={'success' if well else 'signal'}\n"

    def _show(self, words: list[str]) -> str:
        if words[-1] == RUN_UNIT and "--property=ActiveState" in words:
            return "active\n" if (self.host.folder / RUN_UNIT).exists() else "inactive\n"
        return super()._show(words)
