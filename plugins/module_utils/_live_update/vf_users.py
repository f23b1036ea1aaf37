# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VFs of saved VMs once an update has ended.

Others may use and change them then: nobody's VF gets the VLAN of another VM, and no VM comes back in another VLAN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .._holders import holders
from .._model.errors import RefusedError
from .._readers.pfs import read_pfs
from .._system import update_folder
from .._vm.record import ManifestVm
from .claim import STATES, Claim
from .machine import LiveHost
from .manifest import Manifest
from .options import parse
from .pfs import PfSet


def is_foreign(host: LiveHost, vm: ManifestVm) -> bool:
    """Whether somebody else's process runs under a VM's name.

    Not one that was started by others from its saved memory.
    """
    backend = host.backend(vm)
    return host.pid(vm) is not None and not backend.is_own(vm) and not backend.continues(vm)


def require_unused(host: LiveHost, vms: Sequence[ManifestVm]) -> None:
    """Require that others use no VF of VMs that do not run.

    Raises `RefusedError` with the VF and its user.
    """
    wanted: dict[str, set[int]] = {}
    for vm in vms:
        for vf in vm.vfs if host.pid(vm) is None else ():
            wanted.setdefault(vf.pf, set()).add(vf.id)
    states = read_pfs(host.sysfs, list(wanted), vfs=False) if wanted else {}
    known = {pf: (states[pf], ids) for pf, ids in wanted.items() if pf in states}
    found = holders.read_holders(host.sysfs, host.run, known, lenient=True)
    rows = [f"VF {vf_id} of PF {pf} by {who}" for (pf, vf_id), who in sorted(found.items()) if not who.later]
    if rows:
        raise RefusedError(f"others use what it owns: {', '.join(rows)}; end that use first")


@dataclass
class GivenAgain:
    """VFs of VMs that come back by hand, where they were saved.

    Nothing while the update is under way: no other run changes VFs then (`_system/update_guard`).
    """

    host: LiveHost
    manifest: Manifest
    pfs: PfSet = field(init=False)
    over: bool = field(init=False)

    def __post_init__(self) -> None:
        self.pfs = PfSet(self.host, self.manifest, parse(self.manifest.options))
        self.pfs.ready = {pf.pf: None for pf in self.manifest.pfs}
        self.over = (self.host.folder.read_status() or {}).get("phase") in update_folder.FINAL

    def give(self, vm: ManifestVm, claim: Claim | None) -> None:
        """Give a saved VM its VFs as they were.

        One that runs, or may have run, keeps those that it has. Raises `SriovError` when that fails.
        """
        if not self.over or claim is None or not STATES[claim.state].loadable or is_foreign(self.host, vm):
            return
        require_unused(self.host, [vm])
        self.pfs.give([vm])
