# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VFs among the devices that a VM owns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .._model.paths import DEVICES
from .._model.state import PfState, vf_address
from .._system.sysfs import Sysfs
from .vm_facts import UsedVf


def assigned(
    sysfs: Sysfs, pfs: Mapping[str, PfState], addresses: Iterable[str]
) -> tuple[tuple[UsedVf, ...], tuple[str, ...]]:
    """Divide a VM's PCI ``addresses`` into VFs of this host and others."""
    vfs, others = [], []
    for address in addresses:
        pf = pfs.get(sysfs.link(f"{DEVICES}/{address}/physfn") or "")
        number = None if pf is None else next((i for i in pf.present if vf_address(pf, i) == address), None)
        if pf is None or number is None:
            others.append(address)
        else:
            vfs.append(UsedVf(pf.address, number, address))
    return tuple(vfs), tuple(others)
