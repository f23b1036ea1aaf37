# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a live update, and its phases."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from .._model.errors import BadInputError
from .._model.paths import LIVE_UPDATE
from . import durable
from .sysfs import Sysfs

ARMED, UNPLUGGING, COPYING, SAVING, SAVED, KEXEC, RESUMING, RESTORING, FILLING, CHECKING = (
    "armed", "unplugging", "copying", "saving", "saved", "kexec", "resuming", "restoring", "filling", "checking",
)  # fmt: skip

DONE, ABORTED, FAILED = "done", "aborted", "failed"
UNKNOWN = "unknown"
"""Phase of an update whose status was damaged: its claims decide."""
MANIFEST, STATUS, RESULT, RESERVATION = "manifest.json", "status.json", "result.json", "reservation.json"
ABANDONED = "abandoned.json"
LEAVING = "leaving"
"""Folder of VMs that are being moved to other hosts."""

FINAL = (DONE, ABORTED, FAILED)
"""Phases after which nothing happens on the node by itself."""
PHASES = (ARMED, UNPLUGGING, COPYING, SAVING, SAVED, KEXEC, RESUMING, RESTORING, FILLING, CHECKING, UNKNOWN, *FINAL)
MEMBERS: dict[str, tuple[type, ...]] = {
    "manifest": (str,), "phase": (str,), "boot_id": (str,), "time": (int, float), "message": (str,),
}  # fmt: skip
"""Members of a status."""


@dataclass(frozen=True)
class Folder:
    """The live update's private folder below the host's root.

    Paths are as this machine sees them.
    """

    path: str

    @classmethod
    def of(cls, sysfs: Sysfs) -> Folder:
        return cls(sysfs.real(LIVE_UPDATE))

    @property
    def leaving(self) -> Folder:
        """The folder of VMs that leave this host."""
        return Folder(os.path.join(self.path, LEAVING))

    def vm(self, name: str) -> str:
        return os.path.join(self.path, "vms", name)

    def state(self, name: str) -> str:
        return os.path.join(self.vm(name), "state")

    def make_vm(self, name: str) -> None:
        durable.make_private_folder(os.path.join(self.path, "vms"))
        durable.make_private_folder(self.vm(name))

    def forget(self, stay_reserved: bool = False) -> None:
        """Delete all files of the update, but perhaps the reservation.

        The order keeps a manifest from outliving its status, and either from outliving the reservation.
        """
        for name in (MANIFEST, STATUS, RESULT, *(() if stay_reserved else (RESERVATION,))):
            durable.remove(os.path.join(self.path, name))
        durable.remove_tree(os.path.join(self.path, "vms"))
        durable.remove(os.path.join(self.path, ABANDONED))

    def read_status(self) -> dict[str, Any] | None:
        """Read the status, None without one.

        Raises `BadInputError` or `KernelError` for a damaged one.
        """
        path = os.path.join(self.path, STATUS)
        found = durable.read_json(path)
        if found is None:
            return None
        wrong = [name for name, kinds in MEMBERS.items() if not isinstance(found.get(name), kinds)]
        if wrong or found["phase"] not in PHASES:
            raise BadInputError(
                f"{path}.{wrong[0] if wrong else 'phase'}: not of a status; `sriovctl live-update status` says what "
                "is left of the update, and keeps this file aside"
            )
        return found

    def read_result(self) -> dict[str, Any] | None:
        return durable.read_json(os.path.join(self.path, RESULT))
