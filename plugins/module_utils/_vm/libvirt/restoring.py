# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The return of a saved domain: started paused, VFs attached, resumed.

Each step does what is left. Old memory never meets newer disks: libvirt loads it upon any, so the disks are compared
before libvirt finds the image, which has a guard in its place before and after that (`guard`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import BadInputError, DeadlineError, SriovError, ToolError
from ..._system.sysfs import Sysfs
from ..._tools.virsh import PAUSED, RUNNING, Info
from ..backend import Deadlines, NeverRanError
from . import guard, properties_back, save_format, save_image
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

        Raises `SriovError`, and `BadInputError` for disks or an image that are not as the state says.
        """
        saved = self._compared(state)
        attempt = Attempt(self.sysfs, self.part.uuid)
        if self.part.transient:
            attempt.begin()
            self._run_late(lambda: self.connection.load(save_format.kept_path(self.part.uuid)))
            return
        if not attempt.begun() and not self.sysfs.exists(save_format.path(self.part.domain)):
            raise BadInputError(
                f"domain {self.part.domain} is not restored: {save_format.path(self.part.domain)} is gone, so somebody "
                f"else has started it since its save. Its memory is kept as {save_format.kept_path(self.part.uuid)}"
            )
        save_image.show(self.sysfs, self.part.uuid, saved.image.name)
        attempt.begin()
        try:
            self._start("--bypass-cache")
        finally:
            save_image.put_guard(self.sysfs, self.part.uuid, self.part.domain)
        self._require_loaded()

    def offer(self, state: str) -> None:
        """Let libvirt find the image of a domain that nobody has started.

        As long as the disks are as the state says; raises `BadInputError` when they are not.
        """
        uuid, name = self.part.uuid, self.part.domain
        attempt = Attempt(self.sysfs, uuid)
        if self.part.transient or not (attempt.begun() or self.sysfs.exists(save_format.path(name))):
            return
        is_shown = save_image.is_shown(self.sysfs, uuid, name)
        self._compared(state, image=not is_shown)
        if attempt.begun():  # whoever starts it from now on is somebody else
            if not is_shown:
                save_image.put_guard(self.sysfs, uuid, name)
            attempt.end()
        if not is_shown:
            save_image.show(self.sysfs, uuid, name)

    def _compared(self, state: str, image: bool = True) -> SavedState:
        """What was saved, its disks and perhaps its image compared.

        What differs is kept from libvirt.
        """
        try:
            saved = SavedState.read(state)
            found = list(saved.differences(self.sysfs))
            if found:
                raise BadInputError(
                    f"domain {self.part.domain} is not restored: {'; '.join(found)}. Its memory is kept as "
                    f"{save_format.kept_path(self.part.uuid)}"
                )
            if image:
                save_image.require(self.sysfs, saved.image)
        except SriovError:
            self.withhold()
            raise
        return saved

    def withhold(self) -> None:
        """Keep libvirt from loading the image, which stays kept."""
        uuid, name = self.part.uuid, self.part.domain
        if self.part.transient or guard.is_put(self.sysfs, uuid, name):
            return
        begun = Attempt(self.sysfs, uuid).begun() and not self.sysfs.exists(save_format.path(name))
        if begun or save_image.is_shown(self.sysfs, uuid, name):
            save_image.put_guard(self.sysfs, uuid, name)

    def boot(self) -> None:
        """Start the domain paused from its disks, without its memory."""
        Attempt(self.sysfs, self.part.uuid).begin()
        if self.part.transient:
            self._run_late(lambda: self.connection.create(self.sysfs, self.part.uuid, self.part.definition))
        else:
            self._start("--force-boot")

    def go_on(self, before_run: Callable[[], None]) -> None:
        """Attach what is missing, and let the domain run.

        Then its memory is history, and others may start it again.
        """
        self.devices.attach()
        properties_back.require(self.sysfs, self.connection.run, self.devices.vm)
        info = self.connection.info(self.part.uuid)
        if info.state != RUNNING:
            before_run()
        self._end_guard(info)
        if info.state != RUNNING:
            self._resume()
        self.seen_running()

    def seen_running(self) -> None:
        """Forget the image of a domain that was seen to run.

        Its guest may have shut down since.
        """
        uuid, within = self.part.uuid, self.deadlines.answer_s
        self.connection.wait(uuid, lambda info: info.state == RUNNING or not info.active, "running", within)
        Holds(self.sysfs, self.connection, self.part).give_back()
        save_image.forget(self.sysfs, self.part.uuid)
        Attempt(self.sysfs, self.part.uuid).end()

    def withdraw(self) -> bool:
        """End a domain that has executed nothing.

        Its image has its guard again then. False for one that may have run, or that somebody else has started.
        """
        attempt = Attempt(self.sysfs, self.part.uuid)
        info = self.connection.info(self.part.uuid)
        if info.active:
            if info.state != PAUSED or not attempt.begun():
                return False
            self.connection.tell("destroy", self.part.uuid)
            self.connection.wait(self.part.uuid, lambda info: not info.active, "shut off", self.deadlines.answer_s)
        if save_image.is_kept(self.sysfs, self.part.uuid) and attempt.begun():
            if not self.part.transient:
                save_image.put_guard(self.sysfs, self.part.uuid, self.part.domain)
            attempt.end()
        return True

    def _end_guard(self, info: Info) -> None:
        """Remove the guard of a domain whose memory is history.

        A libvirtd that was started meanwhile takes the domain for saved.
        """
        if info.managed_save and guard.is_put(self.sysfs, self.part.uuid, self.part.domain):
            with contextlib.suppress(SriovError):
                self.connection.tell("managedsave-remove", self.part.uuid)
        guard.remove(self.sysfs, self.part.uuid, self.part.domain)

    def _start(self, how: str) -> None:
        """Start the domain paused, in at most ``start_s``."""
        self._run_late(lambda: self.connection.tell("start", self.part.uuid, "--paused", how))

    def _run_late(self, start: Callable[[], object]) -> None:
        """Start the domain paused by a virsh that may be late.

        libvirt goes on when it is killed, as for a large domain.
        """
        until = time.monotonic() + self.deadlines.start_s
        try:
            start()
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
