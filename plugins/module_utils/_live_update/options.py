# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a live update; a part of the manifest.

Deadlines, assumptions of the estimate, and permissions of the operator.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .._model.deadlines import FILL_PAUSE_S
from .._model.errors import BadInputError
from .._model.update_deadlines import BOOT_S, DRIVERS_S, MOVE_AWAY_S, RESERVE_S, RESTORE_WITHIN_S, WAIT_S
from .._vm import vm_commands
from .._vm.backend import Deadlines

CHOICES = {
    "panic": ("warn", "refuse"), "watchdog": ("auto", "off", "require"), "rollback": ("report", "now", "window"),
    "boot_default": ("refuse", "warn"),
}  # fmt: skip
"""Values of options that have no others."""

AT_ONCE = max(2, min(8, os.cpu_count() or 2))
"""VMs that are restored at the same time: as many as CPUs.

Each is a process that reads and a guest's devices that are loaded; more than eight only share the disk.
"""


@dataclass(frozen=True)
class Options(Deadlines):
    """Options with their defaults, in seconds unless noted otherwise.

    Deadlines are generous: an emulated host needs 20 times what hardware does. ``boot_s``: kexec to resume unit, as
    rehearsed (for the estimate). ``rate_mib_s``: disk speed for guest states. ``restore_at_once``: VMs that read their
    states at the same time, by priority. ``reserve_s``: until others may take the host over. ``wait_s``: of the
    controller, for the host's end. ``fill_chunk``: VFs added per write after the last restore. ``orderly``: let systemd
    stop units before the kexec. ``allow_writers``: files that write sriov_numvfs but are ordered after the fill.
    ``allow_missing_modules``: loaded modules the new kernel may lack. ``host_services``: units that have KVM, VFIO or
    vDPA devices open and are no VMs; those that are active are started before VMs. ``confirm_not_elsewhere``: argv run
    with a VM's name before its start; failure keeps it stopped. ``restore_within``: age of a state up to which it is
    loaded without that hook. ``hold_s``: of the HA manager's hold, from arming on, 0 for none. ``move_away``: argv
    run with a VM's name, and where it goes, to move it to another host, in at most ``move_away_s``. ``interface``: of
    the new kernel's SR-IOV files, ``auto`` for its System.map's.

    ``allow_passphrase``: encrypted volumes at whose boot somebody is there. ``panic``: warn or refuse when a panic of
    the new kernel would leave the host hanging; ``boot_default`` the same where what would start then is not known, or
    not known to boot. ``watchdog``: whether one guards the jump, with a timeout of
    ``watchdog_boots`` times ``boot_s``. ``rollback``: when a host's checks fail; the running kernel must be there for
    it.
    """

    orderly: bool = False
    drivers_s: float = DRIVERS_S
    boot_s: float = BOOT_S
    rate_mib_s: float = 200.0
    restore_at_once: int = AT_ONCE
    reserve_s: float = RESERVE_S
    wait_s: float = WAIT_S
    fill_chunk: int = 16
    fill_pause_s: float = FILL_PAUSE_S
    restore_within: float = RESTORE_WITHIN_S
    hold_s: float = 0.0
    move_away_s: float = MOVE_AWAY_S
    interface: str = "auto"
    panic: str = "warn"
    boot_default: str = "refuse"
    watchdog: str = "auto"
    rollback: str = "report"
    watchdog_boots: float = 3.0
    allow_writers: tuple[str, ...] = field(default_factory=tuple)
    allow_missing_modules: tuple[str, ...] = field(default_factory=tuple)
    allow_passphrase: tuple[str, ...] = field(default_factory=tuple)
    host_services: tuple[str, ...] = field(default_factory=tuple)
    confirm_not_elsewhere: tuple[str, ...] = field(default_factory=tuple)
    move_away: tuple[str, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        data = {**asdict(self), "vm_commands": [one.to_dict() for one in self.vm_commands]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in data.items()}


def parse(data: Mapping[str, Any] | None, where: str = "options") -> Options:
    """Parse options from a mapping, with defaults for missing ones.

    Raises `BadInputError` for an unknown key or a wrong value.
    """
    known = {item.name: item.default for item in fields(Options)}
    values: dict[str, Any] = {}
    for key, value in (data or {}).items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise BadInputError(f"{where}.{key}: unknown key{f', did you mean {near[0]}?' if near else ''}")
        if key == "vm_commands":
            values[key] = vm_commands.parse_all(value or (), f"{where}.{key}")
        elif value is not None:
            values[key] = _value(f"{where}.{key}", value, known[key])
            if key in CHOICES and value not in CHOICES[key]:
                raise BadInputError(f"{where}.{key}: {value!r} is none of {', '.join(CHOICES[key])}")
    return Options(**values)


def _value(where: str, value: object, default: object) -> object:
    if isinstance(default, bool):
        good = isinstance(value, bool)
    elif isinstance(default, (int, float)):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and (value > 0 or value == default)
        good = good and (isinstance(default, float) or isinstance(value, int))
    elif isinstance(default, str):
        good = isinstance(value, str)
    else:
        good = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
        value = tuple(value) if isinstance(value, (list, tuple)) else value
    if not good:
        raise BadInputError(f"{where}: {value!r} is not {_kind(default)}")
    return value


def _kind(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, (int, float)):
        return "a number above 0" if isinstance(default, float) else "a whole number above 0"
    return "a text" if isinstance(default, str) else "a list of texts"
