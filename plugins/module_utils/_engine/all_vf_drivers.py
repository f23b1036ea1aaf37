# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs whose driver has not declared that it can live with absent VFs, whatever files the kernel shows.

Only the answer to a write tells (EOPNOTSUPP, kernel/README.md). It is noted until the next boot: without that each run
would try anew, and unbind VFs for it, on a host that is as near to its document as it can be.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from .._model.errors import KernelError
from .._model.kernel_interface import STOCK
from .._model.paths import ALL_VF_DRIVERS
from .._model.state import PfState
from .._system import durable
from .._system.sysfs import Sysfs


def as_stock(current: PfState) -> PfState:
    """As on a stock kernel."""
    return current._replace(interface=STOCK.name, needs_all_vfs=True)


def note(sysfs: Sysfs, current: PfState) -> None:
    """For the driver that the PF has now. That it cannot be noted is no reason to fail."""
    path = sysfs.real(f"{ALL_VF_DRIVERS}/{current.address}")
    with contextlib.suppress(KernelError, OSError):
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        durable.write_text(path, f"{current.driver}\n", 0o644)


def known(sysfs: Sysfs, states: Mapping[str, PfState]) -> dict[str, PfState]:
    """``states``, with those that are noted `as_stock`."""
    noted = {
        address: sysfs.read(f"{ALL_VF_DRIVERS}/{address}")
        for address in sysfs.names(ALL_VF_DRIVERS)
        if address in states
    }
    same = [states[address] for address, driver in noted.items() if states[address].driver == driver]
    return {**states, **{pf.address: as_stock(pf) for pf in same}}
