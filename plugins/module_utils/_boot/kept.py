# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The default that is wanted, kept on the host.

So a second run judges as the first did, whatever an interrupted one has left. It is a build, not a file: what another
run or the distribution has put in its place since has shown nothing.
"""

from __future__ import annotations

import os

from .._model.boot_paths import DEFAULT
from .._model.errors import SriovError
from .._system import durable
from .._system.sysfs import Sysfs
from . import proven
from .answer import Start


def load(sysfs: Sysfs) -> dict[str, str] | None:
    """``kernel``, ``release`` and ``build`` of the wanted default, None without any.

    The build is empty where the file does not show it, and in files of earlier versions.
    """
    try:
        found = durable.read_json(sysfs.real(DEFAULT))
    except SriovError:
        return None
    if found is None or not all(isinstance(found.get(name), str) for name in ("kernel", "release")):
        return None
    build = found.get("build")
    return {**{name: found[name] for name in ("kernel", "release")}, "build": build if isinstance(build, str) else ""}


def replaced(sysfs: Sysfs) -> bool:
    """Whether the file of the wanted default is another build by now."""
    found = load(sysfs)
    build = None if found is None else proven.of_file(sysfs, found["kernel"])
    return found is not None and build is not None and found["build"] not in ("", build)


def keep(sysfs: Sysfs, start: Start) -> bool:
    """Keep ``start`` as the wanted default; returns whether that is new."""
    build = proven.of_file(sysfs, start.kernel) or ""
    wanted = {"kernel": start.kernel or "", "release": start.release or "", "build": build}
    if load(sysfs) == wanted:
        return False
    path = sysfs.real(DEFAULT)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write_json(path, wanted)
    return True
