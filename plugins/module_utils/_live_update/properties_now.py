# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of VMs' VFs as they are now, not at arming.

An administrator may change a VLAN until the kexec, also while memory is copied, which takes minutes. So they are read
before anything is done with a VM, and once more when all are saved.
"""

from __future__ import annotations

from dataclasses import replace

from .._engine import reading
from .._model.properties import NO_MAC, VfProperties
from .._readers.pfs import read_pfs
from .._vm.record import ManifestVf, ManifestVm
from . import manifest_copies, manifest_file
from .machine import LiveHost
from .manifest import Manifest


def of_running(host: LiveHost, manifest: Manifest) -> Manifest:
    """The manifest with properties of VFs that guests still have.

    Stored anew where one has changed, before anything is saved.
    """
    return _stored(host, manifest, _with(manifest, _read(host, manifest)))


def of_released(host: LiveHost, manifest: Manifest) -> Manifest:
    """The same of VFs that guests have released.

    A MAC address that is zero by now is kept as it was: drivers show the one that a guest has chosen, and forget it
    when its VF is reset (igb, i40e). Raises `SriovError` where they cannot be read: nobody knows what would be given
    back.
    """
    found = _read(host, manifest)
    for vm in manifest.vms:
        for vf in vm.vfs:
            now = found[vf.pf].get(vf.id)
            if now is not None:
                kept = now._replace(mac=vf.properties.mac) if now.mac == NO_MAC else now
                found[vf.pf][vf.id] = host.backend(vm).released(vm, vf, kept)
    return _stored(host, manifest, _with(manifest, found))


def _read(host: LiveHost, manifest: Manifest) -> dict[str, dict[int, VfProperties]]:
    """Properties of VFs by PF and id, by one ``ip``."""
    used = sorted({vf.pf for vm in manifest.vms for vf in vm.vfs})
    states = read_pfs(host.sysfs, used, vfs=False) if used else {}
    links = reading.links_at_once(host.run, states.values())
    return {pf: dict(reading.with_properties(host.run, state, links).properties) for pf, state in states.items()}


def _with(manifest: Manifest, found: dict[str, dict[int, VfProperties]]) -> Manifest:
    def of(vf: ManifestVf) -> ManifestVf:
        return replace(vf, properties=found[vf.pf].get(vf.id, vf.properties))

    return replace(manifest, vms=tuple(replace(vm, vfs=tuple(of(vf) for vf in vm.vfs)) for vm in manifest.vms))


def _stored(host: LiveHost, before: Manifest, now: Manifest) -> Manifest:
    if now == before:
        return before
    manifest_file.store(host.folder.path, now)
    changed = [vm for vm, was in zip(now.vms, before.vms) if vm != was]
    manifest_copies.renew(host, now, changed)
    host.log(f"properties of VFs have changed, and stay as they are now: {_names(changed)}")
    return now


def _names(vms: list[ManifestVm]) -> str:
    return ", ".join(f"VM {vm.name}" for vm in vms)
