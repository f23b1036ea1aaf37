# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusal of unsupported values before anything is written.

Not everything can be known: the kernel reports VLAN, link state and rates also for drivers that cannot set them
(`property_table`), and nothing at all before VFs are enabled. There the kernel's answer to the write is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._model import addresses, eswitch
from .._model.errors import BadInputError
from .._model.link import ETHER, INFINIBAND
from .._model.properties import VfProperties
from .._model.property_table import BY_NAME
from .._model.settings import SWITCHDEV
from .._model.state import UNBOUND, PfState
from .._model.vf_device import VfDevice
from .._model.vf_ids import describe
from . import driver_names, mtu_limits
from .goal import Goal, new_vectors


def refuse_unsupported(current: PfState, goal: Goal) -> None:
    """Raise `BadInputError` with every reason why the goal is unsupported."""
    checks = (_of_settings, _of_properties, _of_vectors, _of_interfaces)
    reasons = [reason for check in checks for reason in check(current, goal)]
    if not set(goal.target.drivers.values()) <= {None, UNBOUND, *current.bus_drivers}:
        reasons += driver_names.reasons(current, goal)
    if goal.target.devices or goal.target.settings.mtu:
        reasons += mtu_limits.reasons(current, goal)
    if reasons:
        raise BadInputError("; ".join(f"PF {current.address}: {reason}" for reason in reasons))


def _of_settings(current: PfState, goal: Goal) -> Iterator[str]:
    mtu, link = goal.target.settings.mtu, current.link
    if mtu is None or mtu == current.settings.mtu or link is None:
        return
    if mtu < link.min_mtu or (link.max_mtu and mtu > link.max_mtu):
        yield f"mtu {mtu} is out of range: {current.netdev} takes {link.min_mtu} to {link.max_mtu or 'any'} (EINVAL)"


def _of_properties(current: PfState, goal: Goal) -> Iterator[str]:
    """Reasons against declared properties that differ from the current ones."""
    missing = {
        i: wanted.missing_in(current.properties.get(i, VfProperties())) for i, wanted in goal.target.properties.items()
    }
    if unknown := [i for i, wanted in missing.items() if wanted.mac == addresses.HASH]:
        yield (
            f"mac 'hash' of VFs {describe(unknown)}: {current.netdev} has no permanent address; give a base of your own"
        )
    over = [i for i in missing if missing[i] and _over_its_limit(goal.target.properties[i])]
    if over:
        yield f"min_tx_rate of VFs {describe(over)} is above their max_tx_rate (EINVAL); lower it, or raise that"
    for name, values in sorted(_by_name(missing).items()):
        if reason := _refused(current, goal, name, values):
            yield f"{name} of VFs {describe(values)} cannot be set: {reason}; leave it out"


def _over_its_limit(wanted: VfProperties) -> bool:
    """Whether a VF is guaranteed more than it may have.

    Of one entry of a document this is known before (`property_values`); two may meet at one VF.
    """
    return bool(wanted.max_tx_rate and (wanted.min_tx_rate or 0) > wanted.max_tx_rate)


def _refused(current: PfState, goal: Goal, name: str, values: Mapping[int, Any]) -> str:
    """The reason against the ``values`` of one property, empty for none.

    The ``values`` are by VF id.
    """
    if current.link and (INFINIBAND if current.link.kind == INFINIBAND else ETHER) not in BY_NAME[name].links:
        return f"{current.netdev} is of type {current.link.kind} (EOPNOTSUPP)"
    mode = goal.target.settings.eswitch_mode or current.settings.eswitch_mode
    if mode == SWITCHDEV and name in eswitch.rule_of(current.driver).not_in_switchdev and any(values.values()):
        return f"{current.driver} refuses it in switchdev mode (EOPNOTSUPP)"
    known = [
        current.properties.get(i, VfProperties())
        for i in values
        if i < current.enabled and not goal.disruption.disables_all
    ]
    silent = not BY_NAME[name].always_reported and any(getattr(reading, name) is None for reading in known)
    if silent or not all(known):
        return (
            f"{current.driver} does not report it, as drivers do that answer EOPNOTSUPP, and what is not reported "
            "cannot be read back"
        )
    return ""


def _by_name(wanted: Mapping[int, VfProperties]) -> dict[str, dict[int, Any]]:
    """The values of each property by VF id."""
    values: dict[str, dict[int, Any]] = {}
    for vf_id, properties in sorted(wanted.items()):
        for name, value in properties.to_dict().items():
            values.setdefault(name, {})[vf_id] = value
    return values


def _of_vectors(current: PfState, goal: Goal) -> Iterator[str]:
    wanted = {i: device.msix_vectors for i, device in goal.target.devices.items() if device.msix_vectors is not None}
    writes = new_vectors(current, goal.target.devices) if goal.target.devices else {}
    if writes and not current.total_msix:
        yield (
            f"msix_vectors of VFs {describe(writes)} cannot be set: {current.driver} has no vectors to share out, "
            "sriov_vf_total_msix is 0 or not there (EOPNOTSUPP); leave them out"
        )
    elif writes and sum(wanted.values()) > current.total_msix:
        yield (
            f"msix_vectors: {sum(wanted.values())} for VFs {describe(wanted)} are more than the {current.total_msix} "
            "that the PF has for all of them (sriov_vf_total_msix, ENOSPC)"
        )


def _of_interfaces(current: PfState, goal: Goal) -> Iterator[str]:
    for vf_id, device in sorted(goal.target.devices.items()):
        named = [name for name in ("mtu", "name") if getattr(device, name) is not None]
        if named and (reason := _no_interface(current, goal, vf_id)):
            what = f"{' and '.join(named)} of VF {vf_id}"
            yield f"{what} cannot be set: it has no network interface here, {reason}; leave it out"


def _no_interface(current: PfState, goal: Goal, vf_id: int) -> str:
    """The reason why a VF will have no network interface.

    Empty where it has or may get one.
    """
    driver = goal.target.drivers.get(vf_id) or (goal.returned[vf_id][0] if vf_id in goal.returned else None)
    if driver == UNBOUND:
        return "it is to have no driver"
    if driver:
        return f"its driver is to be {driver}" if "vfio" in driver else ""
    vf = None if goal.disruption.disables_all else current.vfs.get(vf_id)
    if vf is None or (vf_id in goal.target.drivers and vf.driver_override):
        return "" if goal.target.autoprobe else "nothing binds it to a driver"
    if vf.driver is None:
        return "" if vf_id in goal.restored.probed else "nothing binds it to a driver"
    have = current.devices.get(vf_id, VfDevice())
    if have.mtu is None and have.name is None:
        return f"though {vf.driver} is bound: a driver for virtual machines, or it is in another network namespace"
    return ""
