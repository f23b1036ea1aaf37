# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A note that a domain's start is ours, durable before the start.

libvirt deletes the domain's image then. Without the note somebody else has started it, and its memory is history.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..._model.libvirt_paths import ATTEMPTS
from ..._model.paths import BOOT_ID
from ..._system import durable
from ..._system.sysfs import Sysfs


@dataclass(frozen=True)
class Attempt:
    """The note of one domain."""

    sysfs: Sysfs
    uuid: str

    @property
    def path(self) -> str:
        return self.sysfs.real(f"{ATTEMPTS}/{self.uuid}.json")

    def begin(self) -> None:
        durable.make_private_folder(self.sysfs.real(ATTEMPTS))
        durable.write_json(self.path, {"boot_id": self.sysfs.read(BOOT_ID)})

    def begun(self) -> bool:
        """Whether a start of ours was begun, under any boot."""
        return durable.read_json(self.path) is not None

    def is_of_this_boot(self) -> bool:
        return (durable.read_json(self.path) or {}).get("boot_id") == self.sysfs.read(BOOT_ID)

    def end(self) -> None:
        durable.remove(self.path)
