# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hold of a host by its HA manager: expiry, and abandonment.

While it lasts nobody starts the host's VMs elsewhere. After its expiry, or once the host was abandoned, the manager
may: then nothing is started here without a confirmation, neither loaded nor continued.
"""

from __future__ import annotations

import os

from .._model.errors import RefusedError, SriovError
from .._model.update_deadlines import CLOCK_S
from .._system import durable
from .._system.update_folder import ABANDONED, MANIFEST, STATUS
from .machine import LiveHost
from .manifest import Manifest
from .options import Options, parse


def abandon(host: LiveHost) -> bool:
    """Record durably that others may start the VMs; False without an update.

    Without the lock of acts: one under way sees it at its next look, so that it ends sooner.
    """
    if not any(os.path.lexists(os.path.join(host.folder.path, name)) for name in (MANIFEST, STATUS, "vms")):
        return False
    if not is_abandoned(host):
        durable.write_json(os.path.join(host.folder.path, ABANDONED), {"time": host.now(), "boot_id": host.boot_id()})
        host.log("the host is abandoned: its HA manager may start its VMs elsewhere")
    return True


def is_abandoned(host: LiveHost) -> bool:
    """Whether it was, whatever that file has in it."""
    return os.path.lexists(os.path.join(host.folder.path, ABANDONED))


def lines(host: LiveHost) -> list[str]:
    """What a status says of it."""
    said = "abandoned: VMs may run elsewhere, so none is started here without a confirmation"
    return [f"  {said}"] if is_abandoned(host) else []


def need_s(options: Options, cold: bool = False) -> float:
    """Deadline of one VM's start, which must end within the hold."""
    return options.start_s + (0.0 if cold else options.migrate_s)


def require(host: LiveHost, manifest: Manifest, more_s: float) -> None:
    """Require a hold that outlasts ``more_s`` and one VM's start.

    Raises `RefusedError`; while guests run here they stay.
    """
    found = doubts(host, manifest, manifest.created, more_s + need_s(parse(manifest.options)))
    if found:
        raise RefusedError(f"the update does not go on: {'; '.join(found)}. Arm it again, with a new hold")


def doubts(host: LiveHost, manifest: Manifest, last: float, need: float = 0.0) -> list[str]:
    """Why the HA manager may start VMs elsewhere, in words.

    ``last``: latest time that the update is known to have seen, in seconds since the epoch; ``need``: of what is to
    be begun.
    """
    found = ["the host was abandoned"] if is_abandoned(host) else []
    hold_s = parse(manifest.options).hold_s
    if not hold_s:
        return found
    age = _age(host, manifest, last)
    if age is None:
        found.append("this clock was set back or cannot be read, so that the age of its HA manager's hold is unknown")
    elif not age < hold_s:
        found.append(f"its HA manager's hold of {hold_s:g} s has expired, {age:.0f} s after its arming")
    elif not age + need < hold_s:
        found.append(f"a start may take {need:g} s, and of its HA manager's hold {hold_s - age:.0f} s are left")
    return found


def _age(host: LiveHost, manifest: Manifest, last: float) -> float | None:
    """Seconds since the arming, at least; None when it is unknown.

    In this boot by the time since the boot, which no clock changes: a clock that was set back meanwhile would make what
    follows the jump look younger than it is. After the jump the clock may be wrong, and that time is a lower bound.
    """
    now = host.now()
    if not manifest.created <= last <= now:
        return None
    by_clock = now - manifest.created
    try:
        uptime = host.uptime()
    except SriovError:
        return None
    if host.boot_id() != manifest.boot_id:
        return max(by_clock, last - manifest.created + uptime)
    since = uptime - manifest.uptime
    return None if since < 0 or since - by_clock > CLOCK_S else max(by_clock, since)
