# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever else could start a saved domain is held off: autostart, libvirt-guests.

Autostart is libvirt's own and outlives a boot; what is put back is in the manifest. The hold of libvirt-guests is in
/run, so a boot ends it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from ..._model.errors import KernelError
from ..._model.libvirt_paths import GUESTS_HELD
from ..._system import durable
from ..._system.sysfs import Sysfs
from .connection import Connection
from .part import LibvirtPart

DROP_IN = "/run/systemd/system/libvirt-guests.service.d/50-kvmfleet-sriov.conf"
TEXT = f"[Unit]\nConditionDirectoryNotEmpty=!{GUESTS_HELD}\n"
"""Skips the service while the folder is not empty (systemd.unit(5))."""


@dataclass(frozen=True)
class Holds:
    """Holds of one domain, each of which can be repeated."""

    sysfs: Sysfs
    connection: Connection
    part: LibvirtPart

    def take(self) -> None:
        """Hold off whoever else starts the domain."""
        durable.make_folder(self.sysfs.real(GUESTS_HELD))
        durable.write_text(self.sysfs.real(f"{GUESTS_HELD}/{self.part.uuid}"), "", 0o600)
        if not self.sysfs.exists(DROP_IN):
            folder = os.path.dirname(self.sysfs.real(DROP_IN))
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                raise KernelError("create folder", folder, error.errno or 0) from error
            durable.write_text(self.sysfs.real(DROP_IN), TEXT, 0o644)
            self.connection.run(["systemctl", "daemon-reload"])
        info = self.connection.info(self.part.uuid)
        if info.autostart:
            self.connection.tell("autostart", self.part.uuid, "--disable")
        if info.autostart_once:
            self.connection.tell("autostart", self.part.uuid, "--once", "--disable")

    def give_back(self) -> None:
        """Put back what was held off; `SriovError` leaves it held."""
        if self.part.autostart:
            self.connection.tell("autostart", self.part.uuid)
        if self.part.autostart_once:
            self.connection.tell("autostart", self.part.uuid, "--once")
        durable.remove(self.sysfs.real(f"{GUESTS_HELD}/{self.part.uuid}"))
        if self.sysfs.exists(DROP_IN) and not self.sysfs.names(GUESTS_HELD):
            durable.remove(self.sysfs.real(DROP_IN))
            with contextlib.suppress(OSError):  # others may have drop-ins there
                os.rmdir(os.path.dirname(self.sysfs.real(DROP_IN)))
            self.connection.run(["systemctl", "daemon-reload"])
