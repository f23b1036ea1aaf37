# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs are moved to other hosts, before an update is armed.

It is no part of the update: that begins on a host where they run no more. A VM releases its VFs, the operator's hook or
its manager moves it, and its process must be gone then. One that stays gets its VFs again. A manifest of its own says
which VMs are under way, so that they get them whoever ends this.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from .._model.deadlines import BUSY_PAUSE_S
from .._model.errors import DeadlineError, KernelError, SriovError, ToolError
from .._model.paths import LIVE_UPDATE
from .._model.update_deadlines import ENDING_S, MOVED_S
from .._system import durable
from .._system.update_folder import LEAVING
from .._vm.candidates import started
from .._vm.ending import EndedError
from .._vm.record import ManifestVm
from . import manifest_file
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .options import parse

STAY = "`sriovctl live-update stay` gives VMs that stay their VFs again"
LATE = (124, 137)
"""Status of timeout(1) that has ended a program, or killed it."""


def move(host: LiveHost, manifest: Manifest, words: Mapping[str, Sequence[str]]) -> list[str]:
    """Move the manifest's VMs away, one after the other.

    ``words``: command line by the VM's name. Returns the names of those that have left; one that has ended by itself is
    none of them. Raises `SriovError` for the first that stays, with its VFs; those behind it are not touched.
    """
    left = []
    manifest_file.store(host.folder.leaving.path, manifest)
    for vm in manifest.vms:
        host.folder.leaving.make_vm(vm.name)
        try:
            _move(host, vm, words[vm.name], parse(manifest.options).move_away_s)
            left.append(vm.name)
        except EndedError as error:
            host.log(f"VM {vm.name}: {error.ending.why}: there is nothing to move")
        except FAILURES as error:
            more = f"; moved before it: {', '.join(left)}" if left else ""
            raise SriovError(f"VM {vm.name}: {error}; {_kept(host, vm)}{more}") from error
    _forget(host)
    return left


def stay(host: LiveHost) -> list[str]:
    """End an interrupted move; VMs that stay get their VFs again.

    Returns their names. Raises `SriovError` when one does not get them, or one that has left would be started here.
    """
    manifest = manifest_file.load(host.folder.leaving.path)
    if manifest is None or manifest.boot_id != host.boot_id():
        _forget(host)
        return []
    here = [vm for vm in manifest.vms if _is_here(host, vm)]
    found = [(vm, _again(host, vm) if vm in here else host.backend(vm).starts_again(vm)) for vm in manifest.vms]
    if any(why for _vm, why in found):
        raise SriovError("; ".join(f"VM {vm.name}: {why}" for vm, why in found if why))
    _forget(host)
    return [vm.name for vm in here]


def unfinished(host: LiveHost) -> tuple[str, ...]:
    """Names of VMs whose move was interrupted, in this boot.

    By their folders where the manifest is damaged.
    """
    try:
        manifest = manifest_file.load(host.folder.leaving.path)
    except SriovError:
        return tuple(host.sysfs.names(f"{LIVE_UPDATE}/{LEAVING}/vms"))
    if manifest is None or manifest.boot_id != host.boot_id():
        return ()
    return tuple(vm.name for vm in manifest.vms)


def _move(host: LiveHost, vm: ManifestVm, words: Sequence[str], deadline_s: float) -> None:
    host.backend(vm).release(vm, host.folder.leaving.state(vm.name))
    host.log(f"VM {vm.name}: has released its VFs, and is moved: {' '.join(words)}")
    _run(host, words, deadline_s)
    until = time.monotonic() + MOVED_S
    while _is_here(host, vm):
        if time.monotonic() >= until:
            said = f"'{' '.join(words)}' has ended without an error"
            raise SriovError(f"{said}, and {MOVED_S:g} s later process {vm.pid} runs here still")
        host.sleep(BUSY_PAUSE_S)
    other = host.pid(vm)
    if other is not None:
        raise SriovError(f"it has left, and process {other} of its name was started here: end one of both")
    again = host.backend(vm).starts_again(vm)
    if again is not None:
        raise SriovError(again)
    host.log(f"VM {vm.name}: has left this host")


def _is_here(host: LiveHost, vm: ManifestVm) -> bool:
    """Whether the very process that was asked to leave is there."""
    pid = host.pid(vm)
    try:
        return pid == vm.pid and started(host.sysfs, vm.pid) == vm.started
    except (KernelError, ValueError, IndexError):  # it has ended meanwhile
        return False


def _run(host: LiveHost, words: Sequence[str], deadline_s: float) -> None:
    """Run a command line, and all that it starts, until a deadline.

    timeout(1) ends the whole process group: first as an interrupt, by which virsh ends a migration.
    """
    limit, until = (
        ("timeout", "--signal=INT", f"--kill-after={ENDING_S:g}", f"{deadline_s:g}"),
        time.monotonic() + deadline_s,
    )
    try:
        host.run_long([*limit, *words], deadline_s + 2 * ENDING_S)
    except ToolError as error:
        if error.status not in LATE or time.monotonic() < until:
            raise
        raise DeadlineError(f"'{' '.join(words)}' did not end within {deadline_s:g} s (move_away_s)") from error


def _kept(host: LiveHost, vm: ManifestVm) -> str:
    """Give a VM that stays its VFs again; what became of that."""
    if _is_here(host, vm):
        why = _again(host, vm)
        if why is not None:
            return f"it does not go on with its VFs: {why}; {STAY}"
        said = "it stays here, with its VFs"
    elif (why := host.backend(vm).starts_again(vm)) is not None:
        return f"its process is gone, and {why}; then: {STAY}"
    else:
        said = "its process is gone: look where it runs before anybody starts it"
    _forget(host)
    return said


def _again(host: LiveHost, vm: ManifestVm) -> str | None:
    """Plug a VM's VFs again; why not, None for success."""
    backend, state = host.backend(vm), host.folder.leaving.state(vm.name)
    try:
        backend.undo(vm, state, stopped=False)
        return backend.settle(vm, state)
    except FAILURES as error:
        return str(error)


def _forget(host: LiveHost) -> None:
    """Delete the manifest first: what is beside it means nothing then."""
    host.folder.leaving.forget()
    durable.remove_tree(host.folder.leaving.path)
