# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of ``virsh``, and its answers as values.

Domains are named by UUID, as a name may look like an option or a number. Answers are those of the C locale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .._model.errors import BadInputError
from .domain_xml import UUID

ARGV = ("virsh", "-q", "-c", "qemu:///system")
"""The system's libvirt; a person's session has another, without VFs."""
RUNNING, PAUSED, SHUT_OFF, CRASHED = "running", "paused", "shut off", "crashed"
STATES = ("no state", RUNNING, "idle", PAUSED, "in shutdown", SHUT_OFF, CRASHED, "pmsuspended")
"""tools/virsh-domain-monitor.c, virshDomainState."""
LONGEST, MOST = 1 << 20, 10_000
"""Characters of an answer, and domains of a host."""


@dataclass(frozen=True)
class Info:
    """A domain as ``dominfo`` says; its name is in its XML.

    ``autostart_once``: at the next start of the host alone (libvirt 11.2 and newer).
    """

    uuid: str
    state: str
    persistent: bool
    autostart: bool
    managed_save: bool
    autostart_once: bool = False

    @property
    def active(self) -> bool:
        """Whether it has a QEMU."""
        return self.state not in (SHUT_OFF, CRASHED)


def argv(command: str, uuid: str, *words: str) -> tuple[str, ...]:
    """Command line of a command for one domain."""
    return (*ARGV, command, "--domain", uuid, *words)


def uuids(answer: str) -> tuple[str, ...]:
    """Parse ``list --uuid``; raises `BadInputError`."""
    found = tuple(line.strip() for line in _bounded(answer).split("\n") if line.strip())
    if len(found) > MOST:
        raise BadInputError(f"virsh lists {len(found)} domains, more than {MOST}")
    for one in found:
        if not UUID.fullmatch(one):
            raise BadInputError(f"virsh lists {one[:60]!r}, which is no UUID")
    return found


def info(answer: str) -> Info:
    """Parse ``dominfo``; raises `BadInputError` naming what is missing or odd."""
    rows: dict[str, str] = {}
    for line in _bounded(answer).split("\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip() not in rows:
            rows[key.strip()] = value.strip()
    uuid, state = rows.get("UUID", ""), rows.get("State", "")
    if not UUID.fullmatch(uuid) or state not in STATES:
        raise BadInputError(f"virsh dominfo says UUID {uuid[:40]!r} and state {state[:40]!r}, which is not understood")
    return Info(
        uuid, state, _flag(rows, "Persistent", "yes", "no"), _flag(rows, "Autostart", "enable", "disable"),
        _flag(rows, "Managed save", "yes", "no"), rows.get("Autostart Once", "disable") == "enable",
    )  # fmt: skip


def _flag(rows: Mapping[str, str], key: str, yes: str, no: str) -> bool:
    value = rows.get(key, "")
    if value not in (yes, no):
        raise BadInputError(f"virsh dominfo says {key}: {value[:40]!r}, expected {yes} or {no}")
    return value == yes


def _bounded(answer: str) -> str:
    if len(answer) > LONGEST:
        raise BadInputError(f"virsh answers with {len(answer)} characters, more than {LONGEST}")
    return answer
