# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registry of the VM backends, by their names in manifests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .._model.errors import BadInputError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .backend import Backend, BackendClass, Deadlines
from .command.backend import CommandBackend
from .libvirt import registered
from .qemu.backend import QemuBackend

CLASSES: tuple[BackendClass, ...] = (*registered.CLASSES, CommandBackend, QemuBackend)
"""Backends in the order in which they find their VMs.

Those of managers come first: what is left is nobody's.
"""


def check(name: str, part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
    """Require a known backend, and a part of the manifest for it.

    ``vfs``: addresses of the VM's VFs; ``where``: path of the VM in the manifest. Raises `BadInputError`.
    """
    known = {one.name: one for one in CLASSES}
    if name not in known:
        raise BadInputError(f"{where}.backend: '{name}' is not known here; there are: {', '.join(known)}")
    known[name].check(part, vfs, f"{where}.part")


def backends(sysfs: Sysfs, run: Run, deadlines: Deadlines) -> Mapping[str, Backend]:
    """All backends on a host, by name."""
    made: tuple[Backend, ...] = tuple(one(sysfs, run, deadlines) for one in CLASSES)
    return {one.name: one for one in made}
