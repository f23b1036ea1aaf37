# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying the memory of all VMs while they run.

The VMs share a disk. Whoever is copied first would stand still until the last one is, so all run on until all are
copied; then what they have written to meanwhile is copied, in a short time of which all have the same. The last one
needs no care to run on, which would only make the time longer in which none of them has a VF.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .._system import update_folder
from .._vm.record import ManifestVm
from . import ended
from .machine import LiveHost
from .manifest import Manifest
from .status import Progress


def copy_all(
    host: LiveHost, manifest: Manifest, vms: Sequence[ManifestVm], progress: Progress
) -> tuple[ManifestVm, ...]:
    """Copy memory of all VMs, twice where there are several.

    Returns those that have not ended meanwhile. Raises `SriovError` with the failures of all; nobody was stopped then.
    """
    progress.enter(update_folder.COPYING)
    left = tuple(vms)
    for _again in range(min(2, len(vms))):
        under_way = {vm.name for vm in left}
        left = ended.apart(host, manifest, progress, left, partial(_copy, host, under_way))
    return left


def _copy(host: LiveHost, under_way: set[str], vm: ManifestVm) -> None:
    def others(nearly: bool) -> bool:
        (under_way.discard if nearly else under_way.add)(vm.name)
        return not under_way <= {vm.name}

    try:
        host.backend(vm).copy(vm, host.folder.state(vm.name), others)
    finally:
        under_way.discard(vm.name)
