# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default that is wanted, kept on the host.

So a second run judges as the first did, whatever an interrupted one has left.
"""

from __future__ import annotations

import os

from .._model.boot_paths import DEFAULT
from .._model.errors import SriovError
from .._system import durable
from .._system.sysfs import Sysfs
from .answer import Start


def load(sysfs: Sysfs) -> dict[str, str] | None:
    """``kernel`` and ``release`` of the wanted default, None without any."""
    try:
        found = durable.read_json(sysfs.real(DEFAULT))
    except SriovError:
        return None
    if found is None or not all(isinstance(found.get(name), str) for name in ("kernel", "release")):
        return None
    return {"kernel": found["kernel"], "release": found["release"]}


def keep(sysfs: Sysfs, start: Start) -> bool:
    """Keep ``start`` as the wanted default; returns whether that is new."""
    wanted = {"kernel": start.kernel or "", "release": start.release or ""}
    if load(sysfs) == wanted:
        return False
    path = sysfs.real(DEFAULT)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write_json(path, wanted)
    return True
