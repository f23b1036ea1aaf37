# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a live update before the kexec.

Saves all VMs, ends them, and jumps. Until the jump all can be undone.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._model.errors import BadInputError, RefusedError
from .._system import pf_lock, update_folder
from .._vm.record import ManifestVm
from . import claim as _claim
from . import copy, ended, ha_hold, hold_off, manifest_file, properties_now, release, watchdog_guard
from .abort import abort, quietly
from .at_once import each
from .claim import Claim
from .jump import jump
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .newcomers import Newcomers
from .options import parse
from .status import Progress, progress_of


def run(host: LiveHost) -> str:
    """Save all VMs and start the new kernel.

    Returns the phase reached, and only when the kexec did not happen (or is under way, when orderly). A failure before
    the jump brings every VM back here, with the phase aborted and the reason in result.json.
    """
    manifest = _armed(host)
    progress = progress_of(host, manifest)
    options = parse(manifest.options)
    hold = hold_off.Hold(host.sysfs, host.sleep)
    try:
        ha_hold.require(host, manifest, 0.0)
        hold.begin()
        newcomers = _look_again(host, manifest, options.host_services)
        manifest = properties_now.of_running(host, manifest)
        released = release.release_all(host, manifest, progress)
        newcomers.look_meanwhile(_processes(manifest))
        copied = copy.copy_all(host, manifest, released, progress)
        newcomers.require_no_vm()
        ha_hold.require(host, manifest, options.migrate_s + options.boot_s)
        progress.enter(update_folder.SAVING)
        saved = ended.apart(host, manifest, progress, copied, lambda vm: _save(host, manifest, progress, vm))
        progress.enter(update_folder.SAVED)
        each([*saved, *ended.left_over(host, manifest, saved)], lambda vm: host.backend(vm).discard(vm))
        newcomers.require_none()
        manifest = properties_now.of_released(host, manifest)
        progress.enter(update_folder.KEXEC)
        _sync_journal(host)
        with watchdog_guard.armed(host, manifest):
            jump(host.kexec, options.orderly, look=lambda: _last_look(host, manifest, newcomers))
    except FAILURES as error:
        host.log(f"not updated: {error}")
        try:
            return abort(host, manifest, progress, str(error))
        finally:
            hold.end()
    return update_folder.KEXEC


def _last_look(host: LiveHost, manifest: Manifest, newcomers: Newcomers) -> None:
    newcomers.require_none_since()
    ha_hold.require(host, manifest, parse(manifest.options).boot_s)


def _look_again(host: LiveHost, manifest: Manifest, host_services: Sequence[str]) -> Newcomers:
    """Compare the running VMs with the armed ones.

    Returns a watch for further ones. Raises `RefusedError` for the first that differs.
    """
    for vm in manifest.vms:
        pid = host.pid(vm)
        if pid is not None and pid != vm.pid:
            raise RefusedError(
                f"VM {vm.name} is process {pid}, it was {vm.pid} when the update was armed: arm it again"
            )
    return Newcomers.begin(host, host_services, _processes(manifest))


def _processes(manifest: Manifest) -> list[tuple[int, int]]:
    return [(vm.pid, vm.started) for vm in manifest.vms]


def _armed(host: LiveHost) -> Manifest:
    """Require an armed manifest that may be run now.

    Since it was armed no other run begins to change PFs (`_system/update_guard`); one that had begun must have ended.
    """
    manifest = manifest_file.load(host.folder.path)
    status = host.folder.read_status()
    if manifest is None or status is None:
        raise BadInputError("nothing is armed on this host")
    if manifest.boot_id != host.boot_id():
        raise BadInputError(f"manifest {manifest.id} was armed under another kernel boot: cancel it and arm again")
    if status.get("phase") != update_folder.ARMED or status.get("manifest") != manifest.id:
        raise RefusedError(f"this live update is in phase {status.get('phase')}, not armed: it is not started again")
    if not host.kexec.loaded():
        raise RefusedError("no kernel is loaded any more: arm the update again")
    pf_lock.refuse_busy(host.sysfs, [pf.pf for pf in manifest.pfs])
    return manifest


def _save(host: LiveHost, manifest: Manifest, progress: Progress, vm: ManifestVm) -> None:
    progress.update_vm(vm.name, result="saving")
    try:
        saved = host.backend(vm).save(vm, host.folder.state(vm.name))
    except FAILURES as error:
        progress.update_vm(vm.name, result="save-failed", error=str(error))
        raise
    claim = Claim(
        manifest=manifest.id, vm=vm.name, state=_claim.SAVED, boot_id=manifest.boot_id, unit=vm.unit,
        time=saved.saved_at, fingerprint=saved.fingerprint, form=saved.form,
        paused_at=progress.vm(vm.name)["paused_at"] or saved.stopped_at, saved_at=saved.saved_at, images=saved.images,
    )  # fmt: skip
    _claim.store(host.folder.vm(vm.name), claim)
    times = {"paused_at": claim.paused_at, "stopped_at": saved.stopped_at, "saved_at": saved.saved_at}
    progress.update_vm(vm.name, **times, result="saved")
    host.log(f"VM {vm.name}: saved, {saved.fingerprint.size} bytes in {saved.saved_at - saved.stopped_at:.2f} s")


def _sync_journal(host: LiveHost) -> None:
    """Write the guests' last console lines to disk.

    They are the evidence of the outage.
    """
    quietly(host, lambda: host.run(["journalctl", "--sync"]))
