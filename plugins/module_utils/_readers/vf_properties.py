# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of all VFs of a PF, from ``ip`` or devlink."""

from __future__ import annotations

from collections.abc import Mapping

from .._model.errors import ToolError
from .._model.properties import VfProperties
from .._system.process import Run
from .._tools import devlink, ip
from .._tools.ip import Reading


def read_vfs(run: Run, address: str, netdev: str, enabled: int, known: Mapping[str, Reading] | None = None) -> Reading:
    """The PF's interface, and properties by VF id.

    None while no VF is ``enabled``. From ``ip``; from ports of ``devlink`` where the driver gives ``ip`` none (sfc's
    EF100), the MAC address alone. ``known``: earlier readings by name.
    """
    link, properties = (known or {}).get(netdev) or ip.read_link(run, netdev)
    if properties or not enabled:
        return link, properties
    try:
        ports = devlink.vf_ports(run, address)
    except ToolError:  # a kernel or a host without devlink
        return link, {}
    return link, {vf_id: VfProperties(mac=mac) for vf_id, (_port, mac) in ports.items()}


def set_mac_by_port(run: Run, address: str, vf_id: int, mac: str) -> bool:
    """Set a VF's MAC address by its devlink port.

    Returns False for a VF without a port that takes it; raises `ToolError` when the driver refuses.
    """
    ports = devlink.vf_ports(run, address)
    if vf_id not in ports:
        return False
    devlink.set_port_mac(run, ports[vf_id][0], mac)
    return True
