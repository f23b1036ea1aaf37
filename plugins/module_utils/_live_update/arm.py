# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arming: writing the manifest and loading the kernel.

Until the run starts, all can be undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .._boot import proof
from .._engine import reading
from .._model import vf_ids
from .._model.errors import BadInputError, RefusedError
from .._model.paths import NETDEVS, UPDATE_PARAMETER
from .._model.properties import VfProperties
from .._model.state import PfState
from .._model.update_deadlines import BUDGET_S
from .._system import update_folder
from .._vm.record import IN_PLACE, LEAVE, MIGRATE, RESTORE, SHUTDOWN, ManifestVf, ManifestVm
from .._vm.vm_facts import VmFacts
from . import (
    checks,
    dry_starts,
    forgetting,
    kept_states,
    kexec,
    leaving,
    manifest_file,
    move,
    preflight,
    reservation,
    strategies,
    watchdog_plan,
)
from . import facts as _facts
from . import manifest as _manifest
from . import status as _live_status
from .facts import Facts
from .host_services import read as read_services
from .machine import LiveHost
from .manifest import Kernel, Manifest, ManifestPf
from .options import Options
from .preflight import Verdict
from .reservation import Reservation


@dataclass(frozen=True)
class Request:
    """The operator's request for a live update.

    ``vms``: annotations by VM name; ``initrd``: a path, None, or ``auto``; ``owner``: who reserves the host;
    ``take_over``: also one that somebody else has reserved; ``basis``: what figures of the estimate rest on.
    """

    host: str
    release: str
    initrd: str | None = "auto"
    cmdline_extra: str = ""
    budget_s: float = BUDGET_S
    options: Options = field(default_factory=Options)
    vms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    owner: str = ""
    take_over: bool = False
    basis: Mapping[str, str] = field(default_factory=dict)


def examine(host: LiveHost, request: Request) -> tuple[Facts, Verdict]:
    """Gather facts and judge them, changing nothing.

    Raises `BadInputError` when an annotation names a VM that does not run.
    """
    backends = host.backends.values()
    facts = _facts.gather(host.sysfs, host.run, backends, request.release, request.initrd, request.cmdline_extra)
    names = {vm.name for vm in facts.vms}
    for name in request.vms:
        if name not in names and request.vms[name].get("strategy") != MIGRATE:  # that one may have left
            raise BadInputError(f"no VM named '{name}' runs here; running: {', '.join(sorted(names)) or 'none'}")
    services = read_services(host.run, request.options.host_services)
    facts = replace(facts, strategies=strategies.of(request.vms), services=services, moving=move.unfinished(host))
    facts = leaving.apart(facts)
    facts = replace(facts, dry_starts=dry_starts.run(facts, host.backends, request.vms))
    return facts, preflight.judge(facts, host.backends, request.options, request.budget_s, request.vms)


def plan(host: LiveHost, request: Request, facts: Facts) -> Manifest:
    """Make the manifest of this update, as it would be armed now."""
    update_id, kernel = _manifest.new_id(), facts.kernel
    watchdog = watchdog_plan.choose(facts.watchdogs, facts.modules.available, request.options)
    return Manifest(
        id=update_id,
        created=host.now(),
        uptime=host.uptime(),
        host=request.host,
        boot_id=kernel.boot_id,
        kernel=Kernel(
            release_before=kernel.running,
            release_after=kernel.release,
            image=kernel.image,
            initrd=kernel.initrd,
            cmdline=kexec.command_line(kernel.cmdline, update_id, UPDATE_PARAMETER, request.cmdline_extra),
            build_after=kernel.image_build,
            initrd_before=kernel.initrd_before,
            cmdline_before=kernel.cmdline,
        ),
        budget_s=request.budget_s,
        options=request.options.to_dict(),
        pfs=tuple(_pf(host, pf) for pf in facts.pfs.values() if pf.enabled),
        vms=tuple(_vms(host, request, facts)),
        watchdog=watchdog.to_dict() if watchdog else {},
        modules=tuple(name for name in _modules(host) if name in facts.modules.loaded),
        services=tuple(one.name for one in facts.services if one.active),
    )


def armed(host: LiveHost, manifest: Manifest) -> Manifest | None:
    """The manifest armed here, None unless it equals ``manifest``.

    Id and time may differ; its kernel must be loaded.
    """
    current = manifest_file.load(host.folder.path)
    status = host.folder.read_status() or {}
    if current is None or status.get("phase") != update_folder.ARMED or not host.kexec.loaded():
        return None
    cmdline = manifest.kernel.cmdline.replace(manifest.id, current.id)
    same = replace(
        manifest, id=current.id, created=current.created, uptime=current.uptime,
        kernel=replace(manifest.kernel, cmdline=cmdline),
    )  # fmt: skip
    return current if current.to_dict() == same.to_dict() else None


def move_away(host: LiveHost, request: Request, facts: Facts) -> list[str]:
    """Move VMs away; returns the names of those that have left.

    Raises `RefusedError` as `require_free`, and `SriovError` for a VM that stays.
    """
    require_free(host, request)
    said = leaving.all_words(facts, host.backends, request.options, request.vms)
    return move.move(host, plan(host, request, replace(facts, vms=facts.leaving)), said) if said else []


def require_free(host: LiveHost, request: Request) -> None:
    """Require a host on which a new update loses nothing.

    Raises `RefusedError` for one that is reserved by others, updated just now, or has states of VMs.
    """
    reservation.require_mine(host.folder, request.owner, host.now(), request.take_over)
    phase = (host.folder.read_status() or {}).get("phase", update_folder.ARMED)
    if phase not in (update_folder.ARMED, *update_folder.FINAL):
        raise RefusedError(f"a live update is in phase {phase} on this host: `sriovctl live-update status` says more")
    kept_states.require_none(host)


def arm(host: LiveHost, manifest: Manifest, request: Request) -> None:
    """Reserve the host, load the kernel, then write manifest and status.

    In this order, since a kernel started without a manifest restores nothing. Raises `RefusedError` as `require_free`.
    """
    require_free(host, request)
    forgetting.forget(host, stay_reserved=True)
    reserve(host, manifest, request)
    kernel = manifest.kernel
    proof.record(host.sysfs)
    host.kexec.load(kernel.image, kernel.initrd, kernel.cmdline)
    manifest_file.store(host.folder.path, manifest)
    _live_status.write_status(host.folder, manifest.id, update_folder.ARMED, manifest.boot_id, host.now())


def reserve(host: LiveHost, manifest: Manifest, request: Request) -> None:
    """Reserve the host for an update's owner, from its arming on."""
    until = manifest.created + request.options.reserve_s
    reservation.store(host.folder, Reservation(request.owner, manifest.id, manifest.created, until))


def cancel(host: LiveHost) -> bool:
    """Unload the armed kernel and delete the update's files.

    Returns False when the host was neither armed nor reserved. Raises `RefusedError` once the run has started.
    """
    status = host.folder.read_status()
    if status is None and reservation.load(host.folder) is None:
        return False
    if status is not None and status["phase"] != update_folder.ARMED:
        raise RefusedError(f"the live update is in phase {status['phase']}: only an armed one can be cancelled")
    kept_states.require_none(host)
    if status is not None and host.kexec.loaded():
        host.kexec.unload()
    forgetting.forget(host)
    return True


def _modules(host: LiveHost) -> list[str]:
    """Kernel modules that the backends' VMs need at once, each once."""
    return list(dict.fromkeys(name for backend in host.backends.values() for name in backend.modules))


def _pf(host: LiveHost, pf: PfState) -> ManifestPf:
    return ManifestPf(
        pf=pf.address, driver=pf.driver or "", netdev=pf.netdev,
        netdev_up=pf.netdev is not None and _is_up(host, pf.netdev), hardware_vfs=pf.enabled,
        present_vfs=vf_ids.describe(pf.present), drivers_autoprobe=pf.autoprobe, interface=pf.interface,
    )  # fmt: skip


def _is_up(host: LiveHost, netdev: str) -> bool:
    """Read the administrative state, IFF_UP (include/uapi/linux/if.h)."""
    return int(host.sysfs.read(f"{NETDEVS}/{netdev}/flags"), 16) & 1 == 1


def _vms(host: LiveHost, request: Request, facts: Facts) -> list[ManifestVm]:
    used = {vf.pf for vm in facts.vms for vf in vm.vfs}
    properties = {pf: reading.with_properties(host.run, facts.pfs[pf]).properties for pf in used}
    return [_vm(host, vm, request.vms.get(vm.name, {}), properties) for vm in facts.vms]


def _vm(
    host: LiveHost, vm: VmFacts, annotations: Mapping[str, Any], properties: Mapping[str, Mapping[int, VfProperties]]
) -> ManifestVm:
    strategy = str(annotations.get("strategy", IN_PLACE))
    return ManifestVm(
        name=vm.name,
        backend=vm.backend,
        priority=int(annotations.get("priority", 0)),
        pid=vm.pid,
        started=vm.started,
        unit=vm.unit,
        cold_start=bool(annotations.get("cold_start", False)) or strategy == SHUTDOWN,
        straggler=str(annotations.get("straggler", LEAVE)),
        on_other_kernel=str(annotations.get("on_other_kernel", RESTORE)),
        check=checks.of_host(annotations.get("check")),
        vfs=tuple(ManifestVf(vf.pf, vf.id, vf.address, properties[vf.pf].get(vf.id, VfProperties())) for vf in vm.vfs),
        part=host.backends[vm.backend].prepare(vm),
        strategy=strategy,
    )
