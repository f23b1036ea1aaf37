# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the manifest, one beside each VM's claim.

A manifest that is damaged would else keep all VMs of its host stopped. Copies are durable before anything is done with
a VM, and each has all but the other VMs, so that any of them is enough for its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from .._model.errors import BadInputError, SriovError
from .._system import durable
from .._system.update_folder import MANIFEST, Folder
from .._vm.record import ManifestVm
from . import kept_states, manifest_file
from .machine import LiveHost
from .manifest import Manifest
from .status import Progress

GIVE_UP = "`sriovctl live-update forget --discard-memory {}` moves its state aside, then start it from its disks"
"""Way out, by name, of a VM that nothing brings back."""


def renew(host: LiveHost, manifest: Manifest, vms: Sequence[ManifestVm]) -> None:
    """Write the copies of ``vms``, durably."""
    for vm in vms:
        manifest_file.store(host.folder.vm(vm.name), replace(manifest, vms=(vm,)))


def load(folder: Folder) -> Manifest | None:
    """The manifest, from copies where it cannot be read itself.

    None without one. Raises `BadInputError` for a damaged one of which there is no copy.
    """
    try:
        return manifest_file.load(folder.path) or of_copies(folder)
    except SriovError:
        copy = of_copies(folder)
        if copy is None:
            raise
        return copy


def of_copies(folder: Folder) -> Manifest | None:
    """Put the manifest together of its copies; None without a good one.

    Of one update alone: the status says which where it can be read. Its other VMs are missing.
    """
    copies = [copy for copy in (_copy(folder, name) for name in _names(folder)) if copy is not None]
    wanted = _wanted(folder) or (copies[0].id if len({copy.id for copy in copies}) == 1 else None)
    mine = [copy for copy in copies if copy.id == wanted]
    if not mine:
        return None
    return replace(mine[0], vms=tuple(vm for copy in mine for vm in copy.vms))


def mend(host: LiveHost) -> None:
    """Put a damaged manifest aside, and one of copies in its place.

    Call it under the lock of acts. Nothing is changed where no copy is good.
    """
    why = damage(host)
    copy = of_copies(host.folder) if why is not None else None
    if copy is None:
        return
    try:
        path = manifest_file.path(host.folder.path)
        aside = f"; it is kept as {durable.set_aside(path)}" if os.path.lexists(path) else ""
        manifest_file.store(host.folder.path, copy)
    except SriovError as error:
        host.log(f"{why}; {error}")
        return
    host.log(f"{why}{aside}, and made anew of the copies of {', '.join(vm.name for vm in copy.vms)}")
    for name in strays(host, copy):
        host.log(stray(name))


def damage(host: LiveHost) -> str | None:
    """Why the manifest cannot be read; None where nothing is wrong.

    One may be missing where no update is under way, and no state of a VM is needed.
    """
    try:
        found = manifest_file.load(host.folder.path)
    except SriovError as error:
        return str(error)
    under_way = _wanted(host.folder) is not None or kept_states.needed(host)
    return f"{manifest_file.path(host.folder.path)} is missing" if found is None and under_way else None


def strays(host: LiveHost, manifest: Manifest | None) -> list[str]:
    """Names of VMs with a state that the manifest does not have."""
    known = {vm.name for vm in manifest.vms} if manifest else set()
    return [name for name in kept_states.needed(host) if name not in known]


def stray(name: str) -> str:
    """What is wrong with such a VM, and its way out."""
    return f"VM {name}: neither the manifest nor its copy beside the VM's claim can be read: {GIVE_UP.format(name)}"


def note_strays(host: LiveHost, manifest: Manifest, progress: Progress) -> list[str]:
    """Put such VMs into the result; returns what is wrong with each."""
    names = strays(host, manifest)
    for name in names:
        progress.update_vm(name, result="failed", error=stray(name))
    return [stray(name) for name in names]


def require(host: LiveHost, what: str) -> Manifest | None:
    """The manifest; None without one.

    Raises `BadInputError` for a damaged one, with the way out of each VM. ``what`` would need it.
    """
    try:
        return manifest_file.load(host.folder.path)
    except SriovError as error:
        ways = "; ".join(stray(name) for name in strays(host, None))
        raise BadInputError(f"{error}; {what}{f'. {ways}' if ways else ''}") from error


def _copy(folder: Folder, name: str) -> Manifest | None:
    try:
        found = manifest_file.load(folder.vm(name))
    except SriovError:
        return None
    return found if found is not None and [vm.name for vm in found.vms] == [name] else None


def _names(folder: Folder) -> list[str]:
    path = os.path.dirname(folder.vm(MANIFEST))
    return sorted(os.listdir(path)) if os.path.isdir(path) else []


def _wanted(folder: Folder) -> str | None:
    """Id of the update by its status; None when unknown."""
    try:
        status = folder.read_status()
    except SriovError:
        return None
    return str(status["manifest"]) or None if status else None
