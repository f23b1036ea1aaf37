# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MAC address of a VF's network interface, and who has chosen it."""

from __future__ import annotations

from .._model.errors import KernelError
from .._model.paths import DEVICES
from .._model.state import VfState
from .._system.sysfs import Sysfs
from . import netdevs

RANDOM = "random"
ORIGINS = ("permanent", RANDOM, "stolen", "set")
"""Words for the numbers in ``addr_assign_type`` (include/uapi/linux/netdevice.h, NET_ADDR_*)."""


def read(sysfs: Sysfs, vf: VfState) -> tuple[str | None, str | None]:
    """Address of the VF's interface on this host, and one of `ORIGINS`.

    None for what is not there: VFs of VMs have no interface here, and interfaces come and go.
    """
    if not vf.netdev:
        return None, None
    folder = netdevs.path_of(sysfs, f"{DEVICES}/{vf.address}", vf.netdev)
    number = _text(sysfs, f"{folder}/addr_assign_type")
    known = {str(index): word for index, word in enumerate(ORIGINS)}
    return _text(sysfs, f"{folder}/address").lower() or None, known.get(number)


def _text(sysfs: Sysfs, path: str) -> str:
    try:
        return sysfs.read(path).strip()
    except KernelError:
        return ""
