# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system's libvirtd, through virsh."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..._model import finite_json
from ..._model.deadlines import BUSY_PAUSE_S
from ..._model.errors import BadInputError, DeadlineError
from ..._system.process import Run
from ..._tools import virsh, whole_domain
from ..._tools.virsh import Info
from ..._tools.whole_domain import WholeDomain

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
        return self._domain("dumpxml", uuid)

    def saved(self, uuid: str) -> WholeDomain:
        """A saved domain as its start will have it."""
        return self._domain("managedsave-dumpxml", uuid)

    def info(self, uuid: str) -> Info:
        return virsh.info(self.tell("dominfo", uuid))

    def reason(self, uuid: str) -> str:
        """State of a domain, with its reason in brackets."""
        return self.tell("domstate", uuid, "--reason").strip()

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

    def _domain(self, command: str, uuid: str) -> WholeDomain:
        try:
            return whole_domain.parse(self.tell(command, uuid))
        except BadInputError as error:
            raise BadInputError(f"libvirt's XML of domain {uuid}: {error}") from error

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
