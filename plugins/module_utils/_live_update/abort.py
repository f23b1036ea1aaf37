# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Abort of a live update before its kexec: every VM runs again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .._model.errors import SriovError
from .._model.update_deadlines import REMOUNT_S
from .._system import durable, update_folder
from .._vm.ending import EndedError, Ending, StandsError
from .._vm.record import ManifestVm
from . import claim as _claim
from . import forgetting, manifest_copies, release, saved_disks, watchdog_guard
from .claim import Claim
from .disks import Disks
from .ended import ENDED, STANDS, clear, store, was_killed
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .restore import Restorer
from .status import Progress, progress_of
from .vf_users import GivenAgain
from .vf_watch import VfWatch

RUN = ("resumed-here", "restored", "cold-started")
BACK = (*RUN, ENDED, STANDS, "replaced")
"""Results of VMs that need nothing more after an abort."""
BEFORE = (update_folder.UNPLUGGING, update_folder.COPYING)
"""Phases in which the update has stopped no guest."""
UNDONE_ALONE = (
    update_folder.UNPLUGGING, update_folder.COPYING, update_folder.SAVING, update_folder.SAVED, update_folder.KEXEC,
    update_folder.UNKNOWN,
)  # fmt: skip
MAYBE_GOING = (update_folder.KEXEC, update_folder.UNKNOWN)
"""Phases in which the host may be jumping already."""


def recover(host: LiveHost) -> str | None:
    """Bring VMs back after a run that was killed before the jump.

    Returns the phase reached, None when there is nothing to bring back. Called after every run (ExecStopPost), so it
    detects by itself that the run ended well or that the host goes down.
    """
    status = host.folder.read_status()
    manifest = manifest_copies.require(host, "VMs of the run that ended are left as they are")
    if status is None or manifest is None or status.get("phase") not in UNDONE_ALONE:
        return None
    if manifest.boot_id != host.boot_id() or (status["phase"] in MAYBE_GOING and _going_down(host)):
        return None
    return abort(host, manifest, progress_of(host, manifest), f"the run ended in phase {status['phase']}")


def abort(host: LiveHost, manifest: Manifest, progress: Progress, why: str) -> str:
    """Bring every VM back on this kernel; returns the final phase."""
    return bring_back(Restorer(host, manifest, progress, host.boot_id()), manifest.vms, why)


def bring_back(restorer: Restorer, vms: Sequence[ManifestVm], why: str) -> str:
    """Bring VMs back on the kernel that saved them; returns the phase.

    In the QEMU that is still there, else from its state. It is a final phase once no other VM waits for that. Raises
    `SriovError`, with no VM touched, while disks are read-only since a jump that did not happen.
    """
    host, progress = restorer.host, restorer.progress
    watchdog_guard.stop_left(host, restorer.manifest)
    Disks(host.sysfs, host.run, host.sleep).make_writable(REMOUNT_S)
    watch, again = VfWatch(host, progress), GivenAgain(host, restorer.manifest)
    _each_quietly(vms, lambda vm: _bring_back(restorer, vm, again))
    for vm in vms:
        if progress.vm(vm.name)["result"] in RUN:
            watch.begin(vm)
    if host.kexec.loaded():
        quietly(host, host.kexec.unload)
    left = [*release.settle(host, vms, progress), *again.pfs.rates.finish()]
    watch.finish()
    return _finish(restorer, vms, [why, *left])


def _finish(restorer: Restorer, vms: Sequence[ManifestVm], why: Sequence[str]) -> str:
    """Finish the update, or keep its phase while other VMs are saved."""
    host, manifest, progress = restorer.host, restorer.manifest, restorer.progress
    lost = [vm.name for vm in manifest.vms if progress.vm(vm.name)["result"] not in BACK]
    current, astray = _phase(host), manifest_copies.note_strays(host, manifest, progress)
    if current not in update_folder.FINAL and set(lost) - {vm.name for vm in vms}:
        progress.note(current, "; ".join([*why, f"VMs still to be brought back: {', '.join(lost)}"]))
        return current
    bad = [f"VMs that did not come back: {', '.join(lost)}", *astray] if lost else astray
    phase = update_folder.FAILED if bad else update_folder.ABORTED
    error = "; ".join([why[0], *bad, *why[1:]])
    progress.finish(phase, "failed" if bad else "aborted", error, kernel_after=manifest.kernel.release_before)
    return phase


def _bring_back(restorer: Restorer, vm: ManifestVm, again: GivenAgain) -> bool:
    """Let a VM run again; any failure concerns it alone.

    One whose process ends while it is undone, as a QEMU that crashes does, comes back as one that was gone before.
    """
    host, was = restorer.host, restorer.host.pid(vm)
    try:
        return _bring_back_by_claim(restorer, vm, again)
    except FAILURES as error:
        if was is None or host.pid(vm) is not None:
            restorer.failed(vm, error)
            return False
        host.log(f"VM {vm.name}: {error}; process {was} is gone, so its claim decides")
    try:
        return _bring_back_by_claim(restorer, vm, again)
    except FAILURES as error:
        restorer.failed(vm, error)
        return False


def _bring_back_by_claim(restorer: Restorer, vm: ManifestVm, again: GivenAgain) -> bool:
    host = restorer.host
    claim, pid = _claim_of(restorer, vm), host.pid(vm)
    again.give(vm, claim)
    if claim is None and pid == vm.pid and restorer.progress.vm(vm.name)["result"] in BACK:
        restorer.progress.update_vm(vm.name, error=None)
        return True
    saved = claim is not None and claim.state not in (_claim.UNSAVED, _claim.ENDED)
    if pid is None:
        return restorer.restore(vm) if saved and not _stays_down(vm, claim) else _ended(restorer, vm, claim)
    if pid != vm.pid:
        return restorer.restore(vm) if saved else _leave_alone(restorer, vm, pid)
    return _undo(restorer, vm)


def _undo(restorer: Restorer, vm: ManifestVm) -> bool:
    """Let a VM go on in its own process, if it ran."""
    host, progress = restorer.host, restorer.progress
    stopped = progress.vm(vm.name)["result"] != STANDS and _phase(host) not in BEFORE
    values: dict[str, object] = {"result": "resumed-here"}
    try:
        host.backend(vm).undo(vm, host.folder.state(vm.name), lambda: _before_cont(restorer, vm), stopped)
        values["resumed_at"] = host.now()
    except EndedError as error:
        values = {"result": ENDED, "error": str(error)}
    except StandsError as error:
        values = {"result": STANDS, "error": str(error)}
    forgetting.drop_claim(host, vm)
    progress.update_vm(vm.name, **values)
    return True


def _stays_down(vm: ManifestVm, claim: Claim | None) -> bool:
    return was_killed(claim) and not vm.cold_start


def _ended(restorer: Restorer, vm: ManifestVm, claim: Claim | None) -> bool:
    """Leave a VM down that ended before it was saved.

    One that was killed is started from its disk where that is allowed: never one that its guest has shut down.
    """
    host = restorer.host
    ending = host.backend(vm).ending(vm)
    if claim is not None and claim.state != _claim.UNSAVED:
        ending = Ending(claim.error or ending.why, was_killed(claim))
    if ending.crashed and vm.cold_start:
        host.folder.make_vm(vm.name)
        store(host, restorer.manifest, vm, _claim.RUNNING, ending.why, _claim.NO_BOOT)
        return restorer.restore(vm)
    restorer.progress.update_vm(vm.name, result=ENDED, error=f"{ending.why}, before it was saved")
    clear(host, vm)
    forgetting.drop_claim(host, vm)
    return True


def _phase(host: LiveHost) -> str:
    return str((host.folder.read_status() or {}).get("phase"))


def _before_cont(restorer: Restorer, vm: ManifestVm) -> None:
    """Require a VM's disks, then make its claim history.

    Before its first instruction: should this host crash before the claim is gone, its state must not be loaded.
    """
    claim = restorer.claim(vm)
    if claim is not None:
        _require_disks(restorer, vm, claim)
    for state in (_claim.CLAIMED, _claim.RUNNING):
        if claim is not None and claim.state in (_claim.SAVED, _claim.CLAIMED):
            claim = _claim.advance(claim, state, restorer.boot_id, restorer.host.now())
            _claim.store(restorer.host.folder.vm(vm.name), claim)


def _require_disks(restorer: Restorer, vm: ManifestVm, claim: Claim) -> None:
    """Require disks that are this VM's alone, as they were.

    QEMU releases them when it has saved it, so that somebody else may have started it: a moment before its claim says
    that it is saved, and how they were.
    """
    saved = _claim.STATES[claim.state].loadable
    if saved:
        restorer.confirm_shared(vm, claim)
    saved_disks.require_unused(restorer.host, vm, claim, restorer.files)
    if saved:
        saved_disks.require_unchanged(restorer.host, vm, claim, stands=True)


def _leave_alone(restorer: Restorer, vm: ManifestVm, pid: int) -> bool:
    """Leave a process alone that was not armed, and has no claim."""
    if restorer.progress.vm(vm.name)["result"] not in BACK:
        why = f"it is process {pid} now, not {vm.pid} as armed: it was started again, and is left alone"
        restorer.progress.update_vm(vm.name, result="replaced", error=why)
    forgetting.drop_claim(restorer.host, vm)
    return True


def _claim_of(restorer: Restorer, vm: ManifestVm) -> Claim | None:
    """Read a VM's claim.

    A damaged one is put aside while the VM's own process is still there, which is enough.
    """
    host = restorer.host
    try:
        return restorer.claim(vm)
    except SriovError as error:
        if host.pid(vm) is None:
            raise
        host.log(f"VM {vm.name}: {error}; its process is there, so it goes on")
        durable.set_aside(_claim.path(host.folder.vm(vm.name)))
        return None


def _each_quietly(vms: Sequence[ManifestVm], act: Callable[[ManifestVm], bool]) -> list[str]:
    """Names of the VMs for which ``act`` did not succeed."""
    with ThreadPoolExecutor(max(1, len(vms))) as pool:
        return [vm.name for vm, good in zip(vms, pool.map(act, vms)) if not good]


def quietly(host: LiveHost, act: Callable[[], object]) -> None:
    try:
        act()
    except SriovError as error:
        host.log(str(error))


def _going_down(host: LiveHost) -> bool:
    """Whether this host is shutting down.

    ``systemctl is-system-running`` prints ``stopping`` and fails then (systemctl(1)).
    """
    try:
        return "stopping" in host.run(["systemctl", "is-system-running"])
    except SriovError as error:
        return "stopping" in str(error)
