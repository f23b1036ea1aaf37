# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record of PF drivers that do not allow absent VFs.

Only the answer to a write shows it (EOPNOTSUPP, kernel/README.md). The record lasts until the PF's driver is bound
anew, or the next boot: without it each run would try again, and unbind VFs for it, on a host that is as near to its
document as it can be.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from .._model.errors import SriovError
from .._model.kernel_interface import STOCK
from .._model.paths import ALL_VF_DRIVERS, DEVICES
from .._model.state import PfState
from .._system import durable
from .._system.sysfs import Sysfs


def as_stock(current: PfState) -> PfState:
    """State of the PF as on a stock kernel."""
    return current._replace(interface=STOCK.name, needs_all_vfs=True)


def note(sysfs: Sysfs, current: PfState) -> None:
    """Record the PF's present driver; a failure to record is no error."""
    path = sysfs.real(f"{ALL_VF_DRIVERS}/{current.address}")
    with contextlib.suppress(SriovError):
        durable.make_folder(os.path.dirname(path))
        durable.write_text(path, f"{current.driver} {_binding(sysfs, current.address)}\n", 0o644)


def _binding(sysfs: Sysfs, address: str) -> int:
    """Number of the link to the driver, another one each time.

    drivers/base/dd.c, driver_sysfs_add; fs/kernfs/dir.c, __kernfs_new_node.
    """
    try:
        return os.lstat(sysfs.real(f"{DEVICES}/{address}/driver")).st_ino
    except OSError:
        return 0


def known(sysfs: Sysfs, states: Mapping[str, PfState]) -> dict[str, PfState]:
    """``states``, with PFs of a recorded driver as on a stock kernel.

    A driver that was bound anew is asked again: it may have refused for another reason then.
    """
    noted = {
        address: sysfs.read(f"{ALL_VF_DRIVERS}/{address}")
        for address in sysfs.names(ALL_VF_DRIVERS)
        if address in states
    }
    same = [
        states[address]
        for address, text in noted.items()
        if text == f"{states[address].driver} {_binding(sysfs, address)}"
    ]
    return {**states, **{pf.address: as_stock(pf) for pf in same}}
