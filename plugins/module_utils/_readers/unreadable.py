# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs of which a file cannot be read, beside those that can."""

from __future__ import annotations

from collections.abc import Iterable

from .._model.errors import RefusedError, SriovError
from .._model.state import PfState
from .._system.sysfs import Sysfs
from . import pfs


def each(sysfs: Sysfs, addresses: Iterable[str], facts: Iterable[str]) -> dict[str, PfState]:
    """The PFs as `pfs.read_pfs` reads them, one by one.

    One that cannot be read has the error as ``unreadable``: a device that has failed shall not hide the others.
    """
    found: dict[str, PfState] = {}
    for address in addresses:
        try:
            found.update(pfs.read_pfs(sysfs, [address], vfs=False, facts=facts))
        except RefusedError:
            raise
        except SriovError as error:
            found[address] = _known(sysfs, address, facts, str(error))
    return found


def _known(sysfs: Sysfs, address: str, facts: Iterable[str], error: str) -> PfState:
    try:
        return PfState(total=0, enabled=0, unreadable=error, **pfs.names(sysfs, address, facts))
    except SriovError:
        return PfState(address, 0, 0, unreadable=error)
