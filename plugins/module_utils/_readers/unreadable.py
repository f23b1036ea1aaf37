# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs of which a file cannot be read, beside those that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._model.errors import RefusedError, SriovError
from .._model.state import PfState


def each(
    addresses: Iterable[str], read: Callable[[str], Mapping[str, PfState]], names: Callable[[str], Mapping[str, Any]]
) -> dict[str, PfState]:
    """The PFs that ``read`` gives, one by one.

    One that cannot be read has the error as ``unreadable``, and what ``names`` gives, as far as that can be read: a
    device that has failed shall not hide the others.
    """
    found: dict[str, PfState] = {}
    for address in addresses:
        try:
            found.update(read(address))
        except RefusedError:
            raise
        except SriovError as error:
            found[address] = _known(address, names, str(error))
    return found


def _known(address: str, names: Callable[[str], Mapping[str, Any]], error: str) -> PfState:
    try:
        return PfState(total=0, enabled=0, unreadable=error, **names(address))
    except SriovError:
        return PfState(address, 0, 0, unreadable=error)
