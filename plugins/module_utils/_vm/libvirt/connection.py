# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's libvirtd, through virsh."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..._model import finite_json
from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import BadInputError, DeadlineError, SriovError, ToolError
from ..._model.libvirt_paths import LIBVIRT_SCRATCH
from ..._system import durable
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..._tools import virsh, whole_domain
from ..._tools.virsh import Info
from ..._tools.whole_domain import WholeDomain

GONE = ("failed to get domain", "Domain not found")
"""virsh's words for a domain that is not there.

Somebody has undefined it, or it was transient and has ended.
"""
UNKNOWN = "(unknown)"
LONGEST = 1 << 20
"""Most characters of an answer in JSON."""


@dataclass(frozen=True)
class Connection:
    """Domains by UUID; all raises `SriovError`.

    ``sleep``: a member, so that tests can replace it.
    """

    run: Run
    sleep: Callable[[float], None] = time.sleep

    def running(self) -> tuple[str, ...]:
        """UUIDs of all domains that have a QEMU."""
        return virsh.uuids(self.run([*virsh.ARGV, "list", "--uuid"]))

    def live(self, uuid: str) -> WholeDomain:
        """A domain by its live XML; by its definition when shut off."""
        return self._parsed(self.tell("dumpxml", uuid), f"domain {uuid}")

    def definition(self, uuid: str) -> str:
        """XML that starts a running domain anew."""
        return self.tell("dumpxml", uuid, "--inactive")

    def saved(self, path: str) -> WholeDomain:
        """The domain of an image, as it will be loaded."""
        return self._parsed(self._of_file("save-image-dumpxml", path), path)

    def save(self, uuid: str, path: str) -> None:
        """Save a domain to a file, which ends it."""
        self.tell("save", uuid, path, "--bypass-cache", "--running")

    def load(self, path: str) -> None:
        """Load a domain paused from a file, which stays."""
        self._of_file("restore", path, "--bypass-cache", "--paused")

    def create(self, sysfs: Sysfs, uuid: str, text: str) -> None:
        """Start a transient domain paused, from its disks."""
        durable.make_private_folder(sysfs.real(LIBVIRT_SCRATCH))
        path = f"{LIBVIRT_SCRATCH}/{uuid}.xml"
        durable.write_text(sysfs.real(path), text, 0o600)
        try:
            self._of_file("create", path, "--paused")
        finally:
            durable.remove(sysfs.real(path))

    def info(self, uuid: str) -> Info:
        """Facts of a domain; one that is gone is shut off."""
        try:
            return virsh.info(self.tell("dominfo", uuid))
        except ToolError as error:
            if is_gone(error):
                return Info(uuid, virsh.SHUT_OFF, persistent=False, autostart=False, managed_save=False)
            raise

    def reason(self, uuid: str) -> str:
        """State of a domain, with its reason in brackets."""
        try:
            return self.tell("domstate", uuid, "--reason").strip()
        except ToolError as error:
            if is_gone(error):
                return f"{virsh.SHUT_OFF} {UNKNOWN}"
            raise

    def tell(self, command: str, uuid: str, *words: str) -> str:
        """Run a command for a domain."""
        return self.run(virsh.argv(command, uuid, *words))

    def ask(self, command: str, uuid: str, question: str, who: str) -> object:
        """What ``who`` in a domain answers in JSON.

        Raises `BadInputError` for an odd answer.
        """
        answer = self.tell(command, uuid, question)
        if len(answer) > LONGEST:
            raise BadInputError(f"{who} of domain {uuid} answers with {len(answer)} characters, more than {LONGEST}")
        try:
            return finite_json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{who} of domain {uuid} does not answer in JSON: {error}") from error

    def execute(self, uuid: str, command: Mapping[str, object]) -> object:
        """What QEMU returns for a command to its monitor.

        libvirt marks the domain as tainted then, in its log.
        """
        found = self.ask("qemu-monitor-command", uuid, json.dumps(command), "QEMU")
        if not isinstance(found, dict) or "return" not in found:
            raise SriovError(f"QEMU of domain {uuid} answers {str(found)[:200]}")
        return found["return"]

    def _of_file(self, command: str, path: str, *words: str) -> str:
        return self.run([*virsh.ARGV, command, "--file", path, *words])

    @staticmethod
    def _parsed(text: str, what: str) -> WholeDomain:
        try:
            return whole_domain.parse(text)
        except BadInputError as error:
            raise BadInputError(f"libvirt's XML of {what}: {error}") from error

    def wait(self, uuid: str, until: Callable[[Info], bool], what: str, seconds: float) -> Info:
        """Wait until a domain is so; raises `DeadlineError`."""
        end = time.monotonic() + seconds
        while True:
            info = self.info(uuid)
            if until(info):
                return info
            if time.monotonic() >= end:
                raise DeadlineError(f"domain {uuid} is {info.state}: not {what} within {seconds:g} s")
            self.sleep(BUSY_PAUSE_S)


def is_gone(error: ToolError) -> bool:
    """Whether virsh says that there is no such domain."""
    return any(words in error.stderr for words in GONE)
