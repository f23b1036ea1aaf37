# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservation of a host for one live update, from arming to forgetting.

A file beside the manifest, so it survives the kexec. It keeps other controllers from what is under way; states of VMs
it does not protect: those nobody deletes while they are needed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .._model.errors import TAKE_OVER, BadInputError, RefusedError
from .._system import durable
from .._system.update_folder import RESERVATION, Folder

SCHEMA = 1
KEYS: dict[str, tuple[type, ...]] = {
    "schema": (int,), "owner": (str,), "manifest": (str,), "since": (int, float), "expires": (int, float),
}  # fmt: skip


@dataclass(frozen=True)
class Reservation:
    """``since`` and ``expires`` in seconds since the epoch."""

    owner: str
    manifest: str
    since: float
    expires: float

    def keeps_out(self, owner: str, now: float) -> bool:
        """Whether it is somebody else's, and not expired."""
        return self.owner != owner and now < self.expires

    def __str__(self) -> str:
        return f"reserved by '{self.owner or 'nobody by name'}' since {_utc(self.since)} until {_utc(self.expires)}"


def load(folder: Folder) -> Reservation | None:
    """Read the reservation; None without one.

    Raises `BadInputError` for a file that is none.
    """
    path = _path(folder)
    data = durable.read_json(path)
    return None if data is None else _parse(path, data)


def store(folder: Folder, reservation: Reservation) -> None:
    """Reserve the host, durably."""
    durable.make_private_folder(folder.path)
    durable.write_json(_path(folder), {"schema": SCHEMA, **asdict(reservation)})


def require_mine(folder: Folder, owner: str, now: float, take_over: bool) -> None:
    """Raise `RefusedError` for a host that somebody else has reserved.

    An expired reservation is in nobody's way.
    """
    found = load(folder)
    if found is None or take_over or not found.keeps_out(owner, now):
        return
    raise RefusedError(f"this host is {found}, and this is '{owner}': wait, or take it over: {TAKE_OVER}")


def _parse(path: str, data: Mapping[str, Any]) -> Reservation:
    good = set(data) == set(KEYS) and all(isinstance(data[key], kinds) for key, kinds in KEYS.items())
    if not good or data["schema"] != SCHEMA:
        raise BadInputError(f"{path}: not a reservation of schema {SCHEMA}; remove it when no update is under way")
    return Reservation(**{key: value for key, value in data.items() if key != "schema"})


def _path(folder: Folder) -> str:
    return os.path.join(folder.path, RESERVATION)


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(max(seconds, 0), 4e9)))
