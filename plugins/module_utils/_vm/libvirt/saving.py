# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The save of a domain by libvirt, which ends its QEMU.

A persistent one by a managed save; libvirt has none of a transient one, whose image is a file that only we know.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import DeadlineError, ToolError
from ..._system import durable
from ..._system.sysfs import Sysfs
from ..._tools.virsh import Info
from ..backend import Deadlines
from . import capabilities, save_image
from .connection import Connection
from .part import LibvirtPart
from .save_format import unkept_path

SAVING = "(saving)"
"""Reason of a domain that is paused for its save."""


@dataclass(frozen=True)
class Saving:
    """One domain that is to be saved."""

    sysfs: Sysfs
    connection: Connection
    part: LibvirtPart
    deadlines: Deadlines

    def settled(self) -> Info:
        """Facts of the domain, once libvirt has finished a save of it.

        A transient one that is gone counts as saved when its image is there.
        """
        uuid, until = self.part.uuid, time.monotonic() + self.deadlines.migrate_s
        while self.connection.reason(uuid).endswith(SAVING) and time.monotonic() < until:
            self.connection.sleep(BUSY_PAUSE_S)
        info = self.connection.info(uuid)
        if self.part.transient and not info.active:
            return replace(info, managed_save=save_image.is_saved(self.sysfs, uuid))
        return info

    def save(self) -> None:
        """Save the domain, in at most ``migrate_s``.

        libvirt goes on when virsh is late and killed, as for a large domain, or has lost its connection.
        A save that was interrupted may end at any time.
        """
        uuid = self.part.uuid
        if self.part.transient:  # what is there is history: the domain runs
            save_image.forget(self.sysfs, uuid)
            durable.remove(self.sysfs.real(unkept_path(uuid)))
        try:
            capabilities.turn_off(self.connection, uuid)
            if self.part.transient:
                self.connection.save(uuid, unkept_path(uuid))
            else:
                self.connection.tell("managedsave", uuid, "--bypass-cache", "--running")
        except (ToolError, DeadlineError):
            info = self.settled()
            if info.active or not info.managed_save:
                raise
