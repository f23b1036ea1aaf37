# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgetting an update with what its backends keep besides its folder.

Backends forget first: without the files of the update nobody would know what they keep.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from .._model.errors import SriovError
from .._system import durable
from .._vm.record import ManifestVm
from . import claim as _claim
from . import kept_states, manifest_copies, manifest_file
from .machine import LiveHost


def forget(host: LiveHost, stay_reserved: bool = False) -> None:
    """Delete all of an update, whose states nobody needs."""
    tell(host, kept_states.touched(host))
    host.folder.forget(stay_reserved)


def tell(host: LiveHost, names: Collection[str], give_up: Collection[str] = ()) -> None:
    """Tell backends that VMs are forgotten.

    What could still be the memory of one of ``give_up`` goes into the folder of its state, which is kept aside then.
    """
    if not names:
        return
    try:
        manifest = manifest_copies.load(host.folder)
    except SriovError as error:
        host.log(f"what is kept of {', '.join(sorted(names))} besides its state is not known: {error}")
        return
    for vm in manifest.vms if manifest else ():
        if vm.name in names:
            host.backend(vm).forget(vm, host.folder.vm(vm.name) if vm.name in give_up else None)


def drop_claim(host: LiveHost, vm: ManifestVm) -> None:
    """Forget a save that was undone in place.

    The claim is deleted first, then the state file that it spoke for, and the copy of the manifest.
    """
    folder = host.folder
    durable.remove(_claim.path(folder.vm(vm.name)))
    for path in (folder.state(vm.name), manifest_file.path(folder.vm(vm.name))):
        if os.path.exists(path):
            durable.remove(path)
