# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The return of a saved domain: started paused, VFs attached, resumed.

Each step does what is left. Old memory never meets newer disks: libvirt loads it upon any, so the disks are compared
before libvirt may start anything, and the image is taken away from it where they differ.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import BadInputError, DeadlineError, SriovError, ToolError
from ..._system.sysfs import Sysfs
from ..._tools.virsh import PAUSED, RUNNING
from ..backend import Deadlines, NeverRanError
from . import properties_back, save_image
from .attempt import Attempt
from .connection import Connection
from .devices import Devices
from .holds import Holds
from .part import LibvirtPart
from .saved_state import SavedState

STARTING = "(starting up)"
"""Reason of a paused domain that libvirt is starting."""
BOOTED = "(user)"
"""Reason of a paused domain that was booted.

One that was loaded has another (found with libvirtd 11.3).
"""


@dataclass(frozen=True)
class Restoring:
    """One domain that is to run again."""

    sysfs: Sysfs
    connection: Connection
    part: LibvirtPart
    devices: Devices
    deadlines: Deadlines

    def load(self, state: str) -> None:
        """Start the domain paused from its memory.

        Raises `SriovError`, and `BadInputError` for disks or an image that are not as the state says: then libvirt has
        not the image any more.
        """
        saved = SavedState.read(state)
        found = list(saved.differences(self.sysfs))
        if found:
            save_image.hide(self.sysfs, self.connection, self.part.uuid, self.part.domain)
            raise BadInputError(
                f"domain {self.part.domain} is not restored: {'; '.join(found)}. Its memory is kept as "
                f"{save_image.kept_path(self.part.uuid)}"
            )
        attempt = Attempt(self.sysfs, self.part.uuid)
        if not attempt.begun() and not self.sysfs.exists(save_image.path(self.part.domain)):
            raise BadInputError(
                f"domain {self.part.domain} is not restored: {save_image.path(self.part.domain)} is gone, so somebody "
                f"else has started it since its save. Its memory is kept as {save_image.kept_path(self.part.uuid)}"
            )
        save_image.put_back(self.sysfs, saved.image)
        attempt.begin()
        self._start("--bypass-cache")
        self._require_loaded()

    def boot(self) -> None:
        """Start the domain paused from its disks, without its memory."""
        Attempt(self.sysfs, self.part.uuid).begin()
        self._start("--force-boot")

    def go_on(self, before_run: Callable[[], None]) -> None:
        """Attach what is missing, and let the domain run.

        Then its memory is history, and others may start it again.
        """
        self.devices.attach()
        properties_back.require(self.sysfs, self.connection.run, self.devices.vm)
        if self.connection.info(self.part.uuid).state != RUNNING:
            before_run()
            self._resume()
        self.seen_running()

    def seen_running(self) -> None:
        """Forget the image of a domain that was seen to run.

        Its guest may have shut down since.
        """
        uuid, within = self.part.uuid, self.deadlines.answer_s
        self.connection.wait(uuid, lambda info: info.state == RUNNING or not info.active, "running", within)
        save_image.forget(self.sysfs, self.part.uuid)
        Attempt(self.sysfs, self.part.uuid).end()
        Holds(self.sysfs, self.connection, self.part).give_back()

    def withdraw(self) -> bool:
        """End a domain that has executed nothing.

        libvirt has its image again then. False for one that may have run, or that somebody else has started.
        """
        attempt = Attempt(self.sysfs, self.part.uuid)
        info = self.connection.info(self.part.uuid)
        if info.active:
            if info.state != PAUSED or not attempt.begun():
                return False
            self.connection.tell("destroy", self.part.uuid)
            self.connection.wait(self.part.uuid, lambda info: not info.active, "shut off", self.deadlines.answer_s)
        if save_image.is_kept(self.sysfs, self.part.uuid) and attempt.begun():
            save_image.link(self.sysfs, self.part.uuid, self.part.domain)
            attempt.end()
        return True

    def _start(self, how: str) -> None:
        """Start the domain paused, in at most ``start_s``.

        libvirt goes on when virsh is late and killed, as for a large domain.
        """
        until = time.monotonic() + self.deadlines.start_s
        try:
            self.connection.tell("start", self.part.uuid, "--paused", how)
        except DeadlineError:
            while (reason := self.connection.reason(self.part.uuid)).endswith(STARTING) and time.monotonic() < until:
                self.connection.sleep(BUSY_PAUSE_S)
            if not reason.startswith(PAUSED) or reason.endswith(STARTING):
                raise

    def _require_loaded(self) -> None:
        reason = self.connection.reason(self.part.uuid)
        if reason.endswith(BOOTED):
            self.connection.tell("destroy", self.part.uuid)
            raise SriovError(f"domain {self.part.domain} was booted from its disks instead of being loaded: {reason}")

    def _resume(self) -> None:
        try:
            self.connection.tell("resume", self.part.uuid)
        except ToolError as error:
            with contextlib.suppress(SriovError):
                if self.connection.info(self.part.uuid).state == PAUSED:
                    raise NeverRanError(str(error)) from error
            raise
