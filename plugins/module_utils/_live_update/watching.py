# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts of saved VMs by others, completed until none is left saved.

A manager of VMs starts a saved one for whoever asks: with its memory and, as they were unplugged, without its VFs. Its
disks are compared before it may, and again at each look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from .._model.errors import BusyError
from .._model.paths import PROGRAM
from .._model.update_deadlines import WATCH_AGAIN_S, WATCH_PAUSE_S
from .._vm.record import ManifestVm
from . import act_lock, elsewhere, kept_states, manifest_copies
from . import claim as _claim
from .machine import FAILURES, LiveHost

UNIT = "kvmfleet-live-update-watch.service"


def begin(host: LiveHost) -> None:
    """Start a unit that watches, where a manager has saved VMs.

    Never fails: whatever was done before has been done.
    """
    try:
        if _saved(host) and not _is_active(host):
            host.run([
                "systemd-run", "--quiet", "--no-block", "--collect", f"--unit={UNIT}",
                "--description=Live update: complete starts of saved VMs by others", "--",
                PROGRAM, "live-update", "watch",
            ])  # fmt: skip
    except FAILURES as error:
        host.log(f"nobody watches for starts of saved VMs by others: {error}")


def run(host: LiveHost, complete: Callable[[Collection[str]], object]) -> None:
    """Look for such starts until no VM is left saved.

    ``complete``: brings VMs back by name; after a failure it is tried again later. Raises `SriovError` where nothing
    says which VMs are saved.
    """
    again: dict[str, float] = {}
    said: dict[str, str] = {}
    while waiting := _saved(host):
        for vm in waiting:
            _offer(host, vm, said)
        names = [vm.name for vm in waiting if time.monotonic() >= again.get(vm.name, 0.0) and _is_started(host, vm)]
        again.update(dict.fromkeys(names, time.monotonic() + WATCH_AGAIN_S))
        if names:
            host.log(f"others have started VM {', '.join(names)}, which gets its VFs now")
            try:
                complete(names)
            except FAILURES as error:
                host.log(f"tried again in {WATCH_AGAIN_S:g} s: {error}")
        host.sleep(WATCH_PAUSE_S)


def _saved(host: LiveHost) -> list[ManifestVm]:
    """VMs of managers that were not seen to run from their states."""
    if not any(backend.managed for backend in host.backends.values()):
        return []
    left = kept_states.needed(host)
    manifest = manifest_copies.load(host.folder) if left else None
    return [vm for vm in manifest.vms if vm.name in left and host.backend(vm).managed] if manifest else []


def _is_started(host: LiveHost, vm: ManifestVm) -> bool:
    try:
        return host.pid(vm) is not None and host.backend(vm).continues(vm)
    except FAILURES as error:
        host.log(f"VM {vm.name}: {error}")
        return False


def _offer(host: LiveHost, vm: ManifestVm, said: dict[str, str]) -> None:
    """Let others start a saved VM.

    As long as its disks are as they were; not one whose disks other hosts may use, nor while somebody acts. ``said``:
    failures by name, each logged once.
    """
    try:
        with act_lock.held(host.sysfs, 0.0):
            claim = _claim.load(host.folder.vm(vm.name))
            if claim and _claim.STATES[claim.state].loadable and not elsewhere.shared(claim) and host.pid(vm) is None:
                host.backend(vm).offer(vm, host.folder.state(vm.name))
    except BusyError:
        return
    except FAILURES as error:
        if said.get(vm.name) != str(error):
            host.log(f"VM {vm.name}: others cannot start it with its memory: {error}")
        said[vm.name] = str(error)


def _is_active(host: LiveHost) -> bool:
    shown = host.run(["systemctl", "show", "--property=ActiveState", "--value", UNIT])
    return shown.strip() in ("active", "activating")
