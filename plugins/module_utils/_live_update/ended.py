# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that end by themselves before they are saved.

Until then a guest runs, and its user may shut it down. That is no reason to give the update of the others up, nor to
start it again; one whose process was killed is started from its disk afterwards, where its policy allows that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from .._model.errors import SriovError
from .._system import durable
from .._vm.ending import EndedError, Ending, StandsError
from .._vm.images import Image
from .._vm.record import ManifestVm
from .._vm.state_file import NO_FILE
from . import claim as _claim
from . import manifest_file
from .at_once import each, failures
from .claim import Claim
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .status import Progress

ENDED, STANDS = "ended", "stopped by others"
"""Results of VMs that ended, or that others have stopped."""

WITH_HOST = (
    "it went down with its host before it was saved: its guest ran until then, and nothing of its memory is "
    "kept: start it from its disks"
)
"""What became of a VM whose claim is `UNSAVED`, in another boot."""


def unsaved(host: LiveHost, manifest: Manifest, vms: Sequence[ManifestVm]) -> None:
    """Record durably that nothing of these VMs is saved yet.

    Before anything of them is touched: should the host go down, this says that they have gone down with it. It has
    their images: another guest may use those when they are to be started from them.
    """

    def one(vm: ManifestVm) -> None:
        try:
            found = tuple(host.backend(vm).images(vm))
        except FAILURES as error:  # it may have ended, which the release of its VFs finds
            host.log(f"VM {vm.name}: which images it has open cannot be read: {error}")
            found = ()
        store(host, manifest, vm, _claim.UNSAVED, images=found)

    each(vms, one)


def apart(
    host: LiveHost, manifest: Manifest, progress: Progress, vms: Sequence[ManifestVm], act: Callable[[ManifestVm], None]
) -> tuple[ManifestVm, ...]:
    """Act on all VMs; returns those that have not ended meanwhile.

    Other failures are raised as one `SriovError`.
    """
    errors = failures(vms, act)
    gone = among(host, manifest, progress, errors)
    if errors:
        raise SriovError("; ".join(f"VM {name}: {error}" for name, error in errors.items()))
    return tuple(vm for vm in vms if vm.name not in gone)


def among(host: LiveHost, manifest: Manifest, progress: Progress, errors: dict[str, Exception]) -> set[str]:
    """Take the VMs that have ended out of failures, and record them.

    Returns their names.
    """
    gone = {name: error.ending for name, error in errors.items() if isinstance(error, EndedError)}
    for name, error in errors.items():
        if isinstance(error, StandsError):
            progress.update_vm(name, result=STANDS, error=str(error))
    for vm in manifest.vms:
        if vm.name in gone:
            del errors[vm.name]
            note(host, manifest, progress, vm, gone[vm.name])
    return set(gone)


def note(host: LiveHost, manifest: Manifest, progress: Progress, vm: ManifestVm, ending: Ending) -> None:
    """Record durably that a VM has ended; its state goes."""
    if ending.crashed:
        store(host, manifest, vm, _claim.RUNNING, ending.why, _claim.NO_BOOT)
    else:
        store(host, manifest, vm, _claim.ENDED, ending.why)
    clear(host, vm)
    progress.update_vm(vm.name, result=ENDED, error=ending.why)
    host.log(f"VM {vm.name}: {ending.why}; nothing of it is saved")


def clear(host: LiveHost, vm: ManifestVm) -> None:
    """Delete state and notes of a VM that is gone.

    Of one that is still there, whose guest has shut down, the state alone.
    """
    folder = host.folder.vm(vm.name)
    kept = (_claim.path(folder), manifest_file.path(folder))
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if path == host.folder.state(vm.name) or (path not in kept and host.pid(vm) is None):
            durable.remove(path)


def left_over(host: LiveHost, manifest: Manifest, saved: Sequence[ManifestVm]) -> list[ManifestVm]:
    """VMs whose guests have shut down in a QEMU that stays."""
    return [vm for vm in manifest.vms if vm not in saved and host.pid(vm) == vm.pid]


def by_itself(host: LiveHost, vm: ManifestVm) -> bool:
    """Whether a VM ended before it was saved, and stays down."""
    try:
        claim = _claim.load(host.folder.vm(vm.name))
    except SriovError:
        return False
    return claim is not None and claim.state == _claim.ENDED


def was_killed(claim: Claim | None) -> bool:
    """Whether a VM is gone, and starts from its disk if allowed."""
    return claim is not None and claim.state == _claim.RUNNING and claim.boot_id == _claim.NO_BOOT


def store(
    host: LiveHost, manifest: Manifest, vm: ManifestVm, state: str, error: str | None = None, boot: str | None = None,
    images: tuple[Image, ...] | None = None,
) -> None:  # fmt: skip
    """Store the claim of a VM without a state.

    ``boot``: of which it is, this one by default; ``images``: by default those of the claim before.
    """
    stamp = host.now()
    claim = Claim(
        manifest=manifest.id, vm=vm.name, state=state, unit=vm.unit, time=stamp, fingerprint=NO_FILE,
        boot_id=manifest.boot_id if boot is None else boot, paused_at=stamp, saved_at=stamp, error=error,
        images=_images(host, manifest, vm) if images is None else images,
    )  # fmt: skip
    _claim.store(host.folder.vm(vm.name), claim)


def _images(host: LiveHost, manifest: Manifest, vm: ManifestVm) -> tuple[Image, ...]:
    """Images of this update's claim before, none without one."""
    try:
        claim = _claim.load(host.folder.vm(vm.name))
    except SriovError:
        return ()
    return claim.images if claim is not None and claim.manifest == manifest.id else ()


def why_left(host: LiveHost, vm: ManifestVm) -> str:
    """What became of a VM whose policy is to leave it."""
    try:
        claim = _claim.load(host.folder.vm(vm.name))
    except SriovError as error:
        return f"its policy is to leave it: {error}"
    if claim is None or _claim.STATES[claim.state].loadable:
        return "its policy is to leave it saved"
    return f"its policy is to leave it: {WITH_HOST if claim.state == _claim.UNSAVED else claim.error or claim.state}"
