# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of a domain's VFs, read back once libvirt has attached them.

libvirt sets MAC address and VLAN of an ``<interface type='hostdev'>`` itself, from its XML.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._model.errors import SriovError
from ..._model.properties import NO_MAC, VfProperties
from ..._readers import vf_properties
from ..._readers.pfs import read_pfs
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..record import ManifestVm


def require(sysfs: Sysfs, run: Run, vm: ManifestVm) -> None:
    """Require the properties of the manifest; raises `SriovError` naming others.

    What the manifest does not say is not read.
    """
    wanted = {(vf.pf, vf.id): vf.properties for vf in vm.vfs if vf.properties}
    found: dict[tuple[str, int], VfProperties] = {}
    for pf, state in read_pfs(sysfs, sorted({pf for pf, _id in wanted}), vfs=False).items() if wanted else ():
        if state.netdev is not None:
            _link, properties = vf_properties.read_vfs(run, pf, state.netdev, state.enabled)
            found.update({(pf, vf_id): one for vf_id, one in properties.items()})
    wrong = [
        f"VF {vf_id} of PF {pf} has {text}"
        for (pf, vf_id), expected in wanted.items()
        for text in _differences(expected, found.get((pf, vf_id), VfProperties()))
    ]
    if wrong:
        raise SriovError(f"VM {vm.name} does not run: {'; '.join(wrong)}, after libvirt has attached it")


def _differences(expected: VfProperties, now: VfProperties) -> Iterator[str]:
    """Differences in words; a MAC address that was never set is none."""
    for name, value in expected._asdict().items():
        if value is not None and value != NO_MAC and getattr(now, name) != value:
            yield f"{name} {getattr(now, name)}, expected {value}"
