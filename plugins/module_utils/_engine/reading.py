# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a PF is read beyond what it is: what planning needs, and the same again afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._document.document import PfSpec
from .._model.settings import PfSettings
from .._model.state import PfState
from .._plan.goal import Goal
from .._plan.required_reads import device_reads, needs_mode, reads
from .._readers import details, vf_properties
from .._readers.pfs import read_pfs, read_vfs
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import ip
from .._tools.ip import Reading

Links = Mapping[str, Reading]
"""Interfaces that were read before, by name."""


def for_planning(sysfs: Sysfs, run: Run, pf: PfState, spec: PfSpec, links: Links | None = None) -> PfState:
    """``pf``, read without details, with as many of them as a plan for the resolved wish needs."""
    pf = details.read_settings(sysfs, run, pf, spec.settings)
    ids, properties = reads(pf, spec)
    pf = read_vfs(sysfs, pf, ids)
    names = device_reads(pf, spec)
    if names or any(vf.device for vf in spec.vfs):
        pf = details.read_devices(sysfs, pf, names)
    if needs_mode(pf, spec):
        pf = details.with_mode(run, pf)
    return with_properties(run, pf, links) if properties else pf


def links_at_once(run: Run, pfs: Iterable[PfState]) -> Links:
    """The network interfaces of several PFs, by one start of ``ip``; of one PF, none."""
    netdevs = {pf.netdev for pf in pfs if pf.netdev}
    return ip.read_links(run, netdevs) if len(netdevs) > 1 else {}


def with_properties(run: Run, pf: PfState, links: Links | None = None) -> PfState:
    """``pf`` with its network interface and the properties of its VFs; as it is without a network interface."""
    if not pf.netdev:
        return pf
    link, properties = vf_properties.read_vfs(run, pf.address, pf.netdev, pf.enabled, links)
    return pf._replace(link=link, properties=properties)


@dataclass(frozen=True)
class Extent:
    """How much of a PF is read again: details of ``vfs``, ``devices`` as names by id, and so on."""

    vfs: frozenset[int]
    properties: bool
    settings: PfSettings
    devices: Mapping[int, frozenset[str]]

    @classmethod
    def of_goal(cls, goal: Goal) -> Extent:
        devices = {vf_id: frozenset(device.to_dict()) for vf_id, device in goal.devices.items()}
        vfs = frozenset(goal.drivers) | frozenset(goal.overrides) | frozenset(devices)
        return cls(vfs, bool(goal.properties), goal.settings, devices)

    @classmethod
    def of_state(cls, current: PfState) -> Extent:
        devices = {vf_id: frozenset(device.to_dict()) for vf_id, device in current.devices.items()}
        return cls(frozenset(current.vfs), bool(current.properties), current.settings, devices)


def again(sysfs: Sysfs, run: Run, address: str, extent: Extent) -> PfState:
    """The PF now, with details of those VFs that are present."""
    pf = read_pfs(sysfs, [address], vfs=False)[address]
    pf = details.read_settings(sysfs, run, pf, extent.settings)
    pf = read_vfs(sysfs, pf, extent.vfs & pf.present)
    if extent.devices:
        pf = details.read_devices(sysfs, pf, extent.devices)
    return with_properties(run, pf) if extent.properties else pf
