# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release of all VFs, before any VM is stopped.

A guest that does not answer would else cost all others its whole deadline of outage.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._model.errors import SriovError
from .._system import update_folder
from .._vm.backend import StragglerError
from .._vm.record import SHUTDOWN, ManifestVm
from . import claim as _claim
from . import ended, manifest_copies
from .at_once import each, failures
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .status import Progress


def release_all(host: LiveHost, manifest: Manifest, progress: Progress) -> tuple[ManifestVm, ...]:
    """Unplug the VFs of all VMs at once.

    Returns the VMs to be saved. Those whose strategy is a shutdown keep theirs, and are shut down once all others have
    released them, as is a straggler where its policy says so; any other straggler raises `SriovError`.
    """
    for vm in manifest.vms:
        host.folder.make_vm(vm.name)
        progress.update_vm(vm.name, vfs=[vf.address for vf in vm.vfs], result="running")
    manifest_copies.renew(host, manifest, manifest.vms)
    ended.unsaved(host, manifest, manifest.vms)
    progress.enter(update_folder.UNPLUGGING)
    errors = failures(manifest.vms, lambda vm: _begin(host, progress, vm))
    for name, error in errors.items():
        progress.update_vm(name, error=str(error))
    gone = ended.among(host, manifest, progress, errors)
    down = [vm for vm in manifest.vms if vm.name not in gone and _goes_down(vm, errors.get(vm.name))]
    _require_no_other(errors, down)
    each(down, lambda vm: _shut_down(host, manifest, progress, vm))
    return tuple(vm for vm in manifest.vms if vm not in down and vm.name not in gone)


def settle(host: LiveHost, vms: Sequence[ManifestVm], progress: Progress) -> list[str]:
    """After an abort, plug again what guests release late.

    Returns what is left to a person; a VM that is gone has no such thing.
    """

    def one(vm: ManifestVm) -> None:
        left = host.backend(vm).settle(vm, host.folder.state(vm.name)) if host.pid(vm) == vm.pid else None
        if left is not None:
            raise SriovError(left)

    errors = failures(vms, one)
    for name, error in errors.items():
        host.log(f"VM {name}: {error}")
        progress.update_vm(name, error=str(error))
    return [f"VM {name}: {error}" for name, error in errors.items()]


def _goes_down(vm: ManifestVm, error: Exception | None) -> bool:
    """Whether a VM is shut down, by one of its policies."""
    if vm.strategy == SHUTDOWN:
        return error is None
    return vm.straggler == SHUTDOWN and isinstance(error, StragglerError)


def _begin(host: LiveHost, progress: Progress, vm: ManifestVm) -> None:
    if vm.strategy == SHUTDOWN:
        host.backend(vm).require_armed(vm)
        return
    if vm.vfs:
        progress.update_vm(vm.name, paused_at=host.now())
    host.backend(vm).release(vm, host.folder.state(vm.name))
    host.log(f"VM {vm.name}: has released its VFs")


def _require_no_other(errors: dict[str, Exception], down: Sequence[ManifestVm]) -> None:
    """Raise `SriovError` when others than those to be shut down failed."""
    others = {name: error for name, error in errors.items() if name not in {vm.name for vm in down}}
    if others:
        why = "; ".join(f"VM {name}: {error}" for name, error in others.items())
        late = any(isinstance(error, StragglerError) for error in others.values())
        raise SriovError(
            why + ("; no VM was stopped. Look why that guest does not answer, raise unplug_s, or set its straggler"
                   " policy" if late else "")
        )  # fmt: skip


def _shut_down(host: LiveHost, manifest: Manifest, progress: Progress, vm: ManifestVm) -> None:
    """End a VM that is not saved.

    Before that its claim says that it has run on, in no boot that is known: it has no state, and starts from its disks.
    """
    planned = vm.strategy == SHUTDOWN
    why = "its strategy is to shut it down" if planned else "it did not release its VFs"
    ended.store(host, manifest, vm, _claim.RUNNING, why, _claim.NO_BOOT)
    if planned:
        progress.update_vm(vm.name, paused_at=host.now())
    try:
        host.backend(vm).power_down(vm)
    except FAILURES as error:
        raise SriovError(f"{error}: it was asked to shut down, and may still do so") from error
    progress.update_vm(vm.name, stopped_at=host.now(), result="shut-down")
    host.log(f"VM {vm.name}: was shut down, as {why}; it is started from its disk afterwards")
