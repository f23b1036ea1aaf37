# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running VM, required as it was armed."""

from __future__ import annotations

from ..._system.sysfs import Sysfs
from . import disks, own_unit
from .devices import GuestDevice
from .guest import Guest


def require(sysfs: Sysfs, guest: Guest) -> list[GuestDevice]:
    """Require VFs, unit and images of its record; returns its VFs.

    Raises `SriovError`: with that record another VM would come back.
    """
    devices = guest.devices()
    guest.require_as_armed(devices)
    own_unit.require_none(sysfs, guest.vm.unit)
    disks.require(sysfs, guest.qmp, guest.part.restore_argv, guest.part.cwd)
    return devices
