# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a saved VM, compared with its claim and with processes.

Old memory over newer disks destroys them, and so do two guests on one disk: nothing overrides this, whether the memory
is loaded anew or stands still in the QEMU that has saved it.
"""

from __future__ import annotations

from .._model.errors import RefusedError
from .._vm import images
from .._vm.image_writers import OpenFiles
from .._vm.record import ManifestVm
from . import claim as _claim
from .claim import Claim
from .machine import LiveHost

STANDS = (
    "stands still and is not continued: {}. If that was the VM itself, or no guest at all, `cont` at its monitor "
    "continues it; if it was started elsewhere, go on there and end it here (`quit`)"
)
NOT_LOADED = (
    "its memory is not loaded, as {}; if it was started elsewhere, go on there, otherwise start it from its disks"
)
NOT_STARTED = (
    "it is not started, as {}: two users of one disk destroy it. End that one, then `sriovctl live-update restore {}`"
)


class ChangedError(RefusedError):
    """Disks that are not those of a VM's save."""


def require_unchanged(host: LiveHost, vm: ManifestVm, claim: Claim, stands: bool = False) -> None:
    """Require that every image is as the claim has it.

    ``stands``: its memory is in a QEMU that stands still. Raises `ChangedError`.
    """
    found = [(image.name, images.difference(host.sysfs, image)) for image in claim.images]
    changed = [f"image {name}: {reason}" for name, reason in found if reason is not None]
    if changed:
        what = f"its disks are not those that it was saved with ({'; '.join(changed)})"
        stands = stands or not _claim.STATES[claim.state].loadable
        raise ChangedError(f"VM {vm.name}{' ' if stands else ': '}{(STANDS if stands else NOT_LOADED).format(what)}")


def require_unused(host: LiveHost, vm: ManifestVm, claim: Claim, files: OpenFiles) -> None:
    """Require that no other process or mount can write to an image.

    Whatever its name is, and whatever has started it: QEMU's own locks are off until the guest runs, and may be off for
    good. Raises `RefusedError`.
    """
    pid = host.pid(vm)
    used = files.others(host.sysfs, claim.images, () if pid is None else (pid,))
    if used:
        raise RefusedError(f"VM {vm.name}: {NOT_STARTED.format('; '.join(used), vm.name)}")
