# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM backends that there are, by the names that manifests give them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .._model.errors import BadInputError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .backend import Backend, Deadlines
from .qemu.backend import QemuBackend

CLASSES = (QemuBackend,)
"""Asked in this order which VMs are theirs."""


def check(name: str, part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
    """`BadInputError` unless there is a backend of that name, and the part of a manifest is one of its own.

    ``vfs``: addresses of the VM's VFs; ``where``: path of the VM in the manifest.
    """
    known = {one.name: one for one in CLASSES}
    if name not in known:
        raise BadInputError(f"{where}.backend: '{name}' is not known here; there are: {', '.join(known)}")
    known[name].check(part, vfs, f"{where}.part")


def backends(sysfs: Sysfs, run: Run, deadlines: Deadlines) -> Mapping[str, Backend]:
    """All backends on a host, by name."""
    made: tuple[Backend, ...] = tuple(one(sysfs, run, deadlines) for one in CLASSES)
    return {one.name: one for one in made}
