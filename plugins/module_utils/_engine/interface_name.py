# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a VF's network interface, set beside udev."""

from __future__ import annotations

import contextlib
import time

from .._model.actions import SetName
from .._model.deadlines import NETDEV_PAUSE_S, NETDEV_S
from .._model.errors import DeadlineError, ToolError
from .._readers import netdevs
from .._system.process import Run
from .._system.sysfs import Sysfs

_GONE = "Cannot find device"
"""The answer of ``ip`` to a former name of an interface."""
_BUSY = "Device or resource busy"


def set_name(sysfs: Sysfs, run: Run, action: SetName) -> None:
    """Rename the interface, once udev has named it.

    udev renames new interfaces, and keeps names that others have given since (systemd.link(5), NamePolicy=keep). Raises
    `DeadlineError` without an interface, `ToolError` for a name that is taken, or of an interface that is up on kernels
    before Linux 6.2 (net/core/dev.c, dev_change_name).
    """
    until = time.monotonic() + NETDEV_S
    _current(sysfs, action.folder, until)
    with contextlib.suppress(ToolError):  # hosts without udev name nothing
        run(("udevadm", "settle", f"--timeout={NETDEV_S:.0f}"))
    while (name := _current(sysfs, action.folder, until)) != action.name:
        try:
            run(("ip", "link", "set", "dev", name, "name", action.name))
        except ToolError as error:
            if _GONE not in error.stderr or time.monotonic() >= until:
                raise _explained(error, name) from error
            time.sleep(NETDEV_PAUSE_S)


def awaited(sysfs: Sysfs, device: str, until: float) -> str:
    """Folder of the first interface of ``device``, once it is there.

    ``until``: by time.monotonic(). Raises `DeadlineError` without one then.
    """
    while True:
        if found := netdevs.paths(sysfs, device):
            return found[0]
        if time.monotonic() >= until:
            raise DeadlineError(f"no network interface appeared in {device}/net within {NETDEV_S:g} s")
        time.sleep(NETDEV_PAUSE_S)


def _current(sysfs: Sysfs, device: str, until: float) -> str:
    return awaited(sysfs, device, until).rpartition("/")[2]


def _explained(error: ToolError, name: str) -> ToolError:
    if _BUSY not in error.stderr:
        return error
    why = f"{name} is up, and kernels before Linux 6.2 rename only interfaces that are down: ip link set {name} down"
    return ToolError(error.argv, error.status, f"{error.stderr.strip()} ({why})")
