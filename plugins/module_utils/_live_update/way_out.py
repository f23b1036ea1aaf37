# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways out for VMs that an update has left saved.

By hand on any kernel but a crash kernel, in any phase; by itself when the host is back on another kernel than the one
that was meant, or for what was not ready at the first attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from .._model.errors import BadInputError, RefusedError, SriovError
from .._model.paths import COMMAND_LINE, RELEASE
from .._system import update_folder
from .._vm.record import COLD_START, LEAVE, ManifestVm
from . import abort, forgetting, kept_states, manifest_copies, manifest_file, meant_kernel, reservation, vf_users
from . import claim as _claim
from .ended import why_left
from .machine import LiveHost
from .manifest import Manifest
from .restore import DAMAGED, Restorer
from .resume import Resume
from .status import progress_of

ONLINE = "network-online.target"


def restore(host: LiveHost, names: Collection[str], confirmed: bool = False) -> str:
    """Bring saved VMs back, all or those of ``names``; returns the phase.

    On the kernel that saved them, in their own processes where those are still there. ``confirmed``: a person says
    that the VMs of ``names`` run nowhere else. Raises `BadInputError` for a name that the update does not have, for a
    confirmation without names, and without an update.
    """
    manifest = _require(host)
    _require_names(host, manifest, names, confirmed)
    status = host.folder.read_status() or {}
    if status.get("phase") == update_folder.ARMED:
        raise RefusedError("the update is armed and has not begun: no VM was saved; `sriovctl live-update forget`")
    mine = tuple(vm for vm in manifest.vms if not names or vm.name in names)
    sure = frozenset(names) if confirmed else frozenset()
    if manifest.boot_id == host.boot_id():
        progress = progress_of(host, manifest)
        restorer = Restorer(host, manifest, progress, host.boot_id(), again=True, confirmed=sure)
        return abort.bring_back(restorer, mine, "VMs were brought back by hand")
    why = _other_kernel(host, manifest)
    return Resume(host, manifest, _waiting(host, mine), reason=why, again=True, confirmed=sure).run()


def come_back(host: LiveHost) -> str | None:
    """Act by itself on saved VMs, later in a boot.

    Under the kernel of the update it finishes a resume that was killed, and is the second attempt for VMs whose first
    has failed. On another kernel, into which a panic, a reset or a power cut has led, each VM's policy decides. Returns
    the phase, None when there is nothing to do: then nothing is written.
    """
    status, manifest = host.folder.read_status(), manifest_copies.require(host, "nothing is restored")
    if status is None or manifest is None or manifest.boot_id == host.boot_id():
        return None
    meant_kernel.refuse_crash_kernel(host.sysfs)
    why, phase = _other_kernel(host, manifest), status.get("phase")
    if why is None and phase not in (update_folder.UNKNOWN, *update_folder.FINAL):
        _await_network(host)
        return Resume(host, manifest, again=True).run()
    if why is None:
        failed = tuple(vm for vm in _waiting(host, manifest.vms) if host.pid(vm) or _is_loadable(host, vm))
        if not failed:
            return None
        _await_network(host)
        return Resume(host, manifest, failed, again=True).run()
    waiting = _waiting(host, manifest.vms)
    if phase == update_folder.UNKNOWN:  # it may have ended: only what is certainly saved is brought back by itself
        waiting = tuple(vm for vm in waiting if _is_loadable(host, vm))
    if phase in (update_folder.ARMED, *update_folder.FINAL) or (phase == update_folder.UNKNOWN and not waiting):
        return None
    _await_network(host)
    return _by_policy(host, manifest, waiting, why)


def _await_network(host: LiveHost) -> None:
    """Start what says that the network is there, and wait for it.

    Images and helpers may be behind it. A boot in which nothing asks for that target has none, and an order after it
    means nothing (systemd.special(7)); asked for by the unit itself, every boot would wait for it.
    """
    abort.quietly(host, lambda: host.run(["systemctl", "start", ONLINE]))


def forget(host: LiveHost, give_up: Collection[str], stay_reserved: bool = False) -> bool:
    """Forget the update; False when there is none.

    Refuses while VMs do not run from their states, but for the VMs of ``give_up``. ``stay_reserved``: for an update
    that follows at once.
    """
    meant_kernel.refuse_crash_kernel(host.sysfs)
    status = host.folder.read_status()
    if status is None and not kept_states.needed(host) and reservation.load(host.folder) is None:
        return False
    phase = (status or {}).get("phase", update_folder.ARMED)
    if phase == update_folder.UNKNOWN and not kept_states.touched(host):
        phase = update_folder.ARMED
    blind = phase not in update_folder.FINAL and manifest_copies.damage(host) is not None
    if not blind:
        _refuse_under_way(host, phase)
    kept_states.require_none(host, give_up)
    kept_states.require_known(host, give_up)
    if (phase == update_folder.ARMED or blind) and host.kexec.loaded():
        host.kexec.unload()
    forgetting.tell(host, give_up, give_up)
    if give_up:
        kept_states.discard(host, give_up)
    kept_states.delete_old(host)
    forgetting.forget(host, stay_reserved)
    return True


def forget_vms(host: LiveHost, names: Collection[str], give_up: Collection[str]) -> list[str]:
    """Forget single VMs of an update, which goes on being there.

    Their states go, those of ``give_up`` aside. Returns all their names; raises `RefusedError` for one that was not
    seen to run from its state, with nothing forgotten.
    """
    meant_kernel.refuse_crash_kernel(host.sysfs)
    mine = sorted({*names, *give_up})
    kept_states.require_known(host, mine)
    if manifest_copies.damage(host) is None:
        _refuse_under_way(host, str((host.folder.read_status() or {}).get("phase", update_folder.ARMED)))
    others = set(kept_states.touched(host)) - set(mine)
    kept_states.require_none(host, {*give_up, *others})
    forgetting.tell(host, mine, give_up)
    kept_states.discard(host, give_up)
    kept_states.delete(host, set(mine) - set(give_up))
    with suppress(SriovError):  # of one that is damaged the copies go with the states
        manifest = manifest_file.load(host.folder.path)
        if manifest is not None:
            left = tuple(vm for vm in manifest.vms if vm.name not in mine)
            manifest_file.store(host.folder.path, replace(manifest, vms=left))
    return mine


def _refuse_under_way(host: LiveHost, phase: str) -> None:
    """Refuse to forget anything of an update that this boot has begun."""
    status = host.folder.read_status() or {}
    if phase not in (update_folder.ARMED, *update_folder.FINAL) and status.get("boot_id") == host.boot_id():
        raise RefusedError(
            f"the update stopped in phase {phase}: `sriovctl live-update restore` brings its VMs back first"
        )


def _require(host: LiveHost) -> Manifest:
    manifest = manifest_copies.require(host, "nothing is restored")
    if manifest is None:
        raise BadInputError("there is no live update on this host: nothing to restore")
    meant_kernel.refuse_crash_kernel(host.sysfs)
    return manifest


def _other_kernel(host: LiveHost, manifest: Manifest) -> str | None:
    """Reason why this boot is not the update's; None when it is."""
    if manifest_file.token_of(host.sysfs.read(COMMAND_LINE)) == manifest.id:
        return meant_kernel.difference(host.sysfs, manifest.kernel)
    wanted, found = manifest.kernel.release_after, host.sysfs.read(RELEASE)
    return f"the host came back on kernel {found} by an ordinary boot, not by the update into {wanted}"


def _require_names(host: LiveHost, manifest: Manifest, names: Collection[str], confirmed: bool) -> None:
    unknown = sorted(set(names) - {vm.name for vm in manifest.vms})
    if unknown and unknown[0] in manifest_copies.strays(host, manifest):
        raise BadInputError(manifest_copies.stray(unknown[0]))
    if unknown:
        raise BadInputError(
            f"the update has no VM {unknown[0]}; it has: {', '.join(vm.name for vm in manifest.vms) or 'none'}"
        )
    if confirmed and not names:
        raise BadInputError("--confirm-not-elsewhere is said of VMs by name: `sriovctl live-update restore VM ...`")


def _waiting(host: LiveHost, vms: Sequence[ManifestVm]) -> tuple[ManifestVm, ...]:
    """VMs that do not run, or whose restore was interrupted."""
    unseen = kept_states.needed(host)
    return tuple(vm for vm in vms if host.pid(vm) is None or (vm.name in unseen and not vf_users.is_foreign(host, vm)))


def _is_loadable(host: LiveHost, vm: ManifestVm) -> bool:
    """Whether a VM's memory may still be loaded.

    A damaged claim concerns that VM alone: the first attempt has reported it.
    """
    try:
        claim = _claim.load(host.folder.vm(vm.name))
    except SriovError as error:
        host.log(f"VM {vm.name} is left as it is: {error}; {DAMAGED.format(vm.name)}")
        return False
    return claim is not None and _claim.STATES[claim.state].loadable


def _by_policy(host: LiveHost, manifest: Manifest, waiting: Sequence[ManifestVm], why: str) -> str:
    """Do with each saved VM what its policy on another kernel says."""
    wanted = tuple(vm for vm in waiting if vm.on_other_kernel != LEAVE)
    cold = frozenset(vm.name for vm in wanted if vm.on_other_kernel == COLD_START)
    work = Resume(host, manifest, wanted, reason=why, again=True, cold=cold)
    for vm in waiting:
        if vm.on_other_kernel == LEAVE:
            work.progress.update_vm(vm.name, result="left", error=why_left(host, vm))
    return work.run()
