# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of PFs in the detail that planning and verification need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._document.document import PfSpec
from .._model import eswitch
from .._model.settings import PfSettings
from .._model.state import PfState
from .._model.vf_device import READ
from .._plan import derive_vfs, link_order
from .._plan.derive import goal_of
from .._plan.goal import Goal
from .._readers import details, vf_properties
from .._readers.pfs import read_pfs, read_vfs
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import ip
from .._tools.ip import Reading

Links = Mapping[str, Reading]
"""Earlier readings of interfaces, by name."""


def for_planning(
    sysfs: Sysfs, run: Run, pf: PfState, spec: PfSpec, goal: Goal | None = None, links: Links | None = None
) -> PfState:
    """``pf`` with the details that a plan for the resolved spec needs.

    ``pf`` was read without details. ``goal``: derived by the compliance check from ``pf`` and its settings.
    """
    pf = details.read_settings(sysfs, run, pf, spec.settings)
    goal = goal or goal_of(pf, spec)
    if spec.settings.link is None and pf.netdev and link_order.needs(pf, goal):
        pf = pf._replace(settings=pf.settings._replace(link=details.read_link(sysfs, pf.address, pf.netdev)))
    ids, properties = _required(pf, spec, goal)
    pf = read_vfs(sysfs, pf, ids)
    names = _required_of_vfs(pf, spec, goal)
    if names or goal.target.devices:
        pf = details.read_devices(sysfs, pf, names)
    undecided = goal.disruption.disables_all and spec.settings.eswitch_mode is None
    if undecided and eswitch.rule_of(pf.driver).not_in_switchdev:  # the mode decides what VFs can be given again
        pf = details.with_mode(run, pf)
    return with_properties(run, pf, links) if properties else pf


def _required(current: PfState, spec: PfSpec, goal: Goal) -> tuple[frozenset[int], bool]:
    """Present VFs to read in detail, and whether their properties as well."""
    mode = spec.settings.eswitch_mode
    if goal.disruption.disables_all or (mode and eswitch.change_of(current.driver, current.settings, spec.settings)):
        return current.present, current.netdev is not None
    target = goal.target
    ids = (
        frozenset(target.drivers) | frozenset(target.devices) | goal.restored.probed | frozenset(goal.restored.drivers)
    )
    ids = ids & current.present | current.present - target.present
    limited = any(device.mtu is not None for device in target.devices.values())  # by the MTU of the PF's interface
    properties = bool(target.properties) or limited or target.settings.mtu != current.settings.mtu
    return ids | _lowered(current, goal), properties


def _lowered(current: PfState, goal: Goal) -> frozenset[int]:
    """Present VFs that a lower MTU of the PF concerns."""
    mtu, now = goal.target.settings.mtu, current.settings.mtu
    return current.present & goal.target.present if mtu is not None and now is not None and mtu < now else frozenset()


def _required_of_vfs(current: PfState, spec: PfSpec, goal: Goal) -> dict[int, frozenset[str]]:
    """Names of `VfDevice` that planning needs, by id of present VFs.

    Besides what is declared, undo needs the MTU of a VF that loses its interface for a while, and all names of all VFs
    where they are disabled together.
    """
    target = goal.target
    if goal.disruption.disables_all:
        named = {vf_id: frozenset(device.to_dict()) for vf_id, device in target.devices.items()}
        return {vf_id: named.get(vf_id, frozenset()) | set(READ) for vf_id in current.vfs}
    declared = {vf_id: frozenset(device.to_dict()) | {"mtu"} for vf_id, device in target.devices.items()}
    loses = {i for i, driver in target.drivers.items() if i in current.vfs and current.vfs[i].driver != driver}
    loses |= current.present - target.present
    if spec.settings.eswitch_mode:
        disruption = goal.disruption._replace(released=derive_vfs.released(current, spec, goal))
        loses |= set(derive_vfs.rebound(current, goal._replace(disruption=disruption)))
    names = {**dict.fromkeys(sorted(loses | _lowered(current, goal)), frozenset({"mtu"})), **declared}
    return {vf_id: some for vf_id, some in names.items() if vf_id in current.vfs}


def links_at_once(run: Run, pfs: Iterable[PfState]) -> Links:
    """Read the interfaces of several PFs by one start of ``ip``."""
    netdevs = {pf.netdev for pf in pfs if pf.netdev}
    return ip.read_links(run, netdevs) if len(netdevs) > 1 else {}


def with_properties(run: Run, pf: PfState, links: Links | None = None) -> PfState:
    """``pf`` with interface and VF properties; unchanged without an interface."""
    if not pf.netdev:
        return pf
    link, properties = vf_properties.read_vfs(run, pf.address, pf.netdev, pf.enabled, links)
    return pf._replace(link=link, properties=properties)


@dataclass(frozen=True)
class Extent:
    """Extent of a fresh reading of a PF.

    ``vfs``: ids of VFs to read in detail. ``devices``: names of `VfDevice` by VF id.
    """

    vfs: frozenset[int]
    properties: bool
    settings: PfSettings
    devices: Mapping[int, frozenset[str]]

    @classmethod
    def of_goal(cls, goal: Goal) -> Extent:
        devices = {vf_id: frozenset(device.to_dict()) for vf_id, device in goal.target.devices.items()}
        vfs = frozenset(goal.target.drivers) | frozenset(goal.returned) | frozenset(devices)
        return cls(vfs, bool(goal.target.properties), goal.target.settings, devices)

    @classmethod
    def of_state(cls, current: PfState) -> Extent:
        devices = {vf_id: frozenset(device.to_dict()) for vf_id, device in current.devices.items()}
        return cls(frozenset(current.vfs), bool(current.properties), current.settings, devices)


def again(sysfs: Sysfs, run: Run, address: str, extent: Extent) -> PfState:
    """Read the PF afresh, with details of the VFs that are present."""
    pf = read_pfs(sysfs, [address], vfs=False)[address]
    pf = details.read_settings(sysfs, run, pf, extent.settings)
    pf = read_vfs(sysfs, pf, extent.vfs & pf.present)
    if extent.devices:
        pf = details.read_devices(sysfs, pf, extent.devices)
    return with_properties(run, pf) if extent.properties else pf
