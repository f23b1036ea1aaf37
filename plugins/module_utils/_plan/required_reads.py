# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to read of a PF, and of its VFs, for a plan that leads to a goal, and for its undo."""

from __future__ import annotations

from .._document.document import PfSpec
from .._model import eswitch
from .._model.state import PfState
from .._model.vf_device import NAMES
from .derive import goal_of


def reads(current: PfState, spec: PfSpec) -> tuple[frozenset[int], bool]:
    """What planning needs beyond the PF itself: details of which present VFs, and whether properties of VFs."""
    goal = goal_of(current, spec)
    if goal.disables_all or eswitch.change_of(current.driver, current.settings, spec.settings):
        return current.present, current.netdev is not None
    ids = frozenset(goal.drivers) | frozenset(goal.devices) | goal.probed | frozenset(goal.restored)
    ids = ids & current.present | current.present - goal.present
    return ids, bool(goal.properties) or goal.settings.mtu != current.settings.mtu


def needs_mode(current: PfState, spec: PfSpec) -> bool:
    """Whether the mode of the eswitch matters though no wish names it: for what VFs that come back can be given."""
    known = spec.settings.eswitch_mode is not None or not eswitch.rule_of(current.driver).not_in_switchdev
    return not known and goal_of(current, spec).disables_all


def device_reads(current: PfState, spec: PfSpec) -> dict[int, frozenset[str]]:
    """The present VFs of which planning needs `VfDevice`, and which of its names.

    Beside what is wished, that is what undo has to bring back: the MTU where a VF loses its interface for a moment, all
    of all VFs where they go away together.
    """
    goal = goal_of(current, spec)
    if goal.disables_all:
        return dict.fromkeys(current.vfs, frozenset(NAMES))
    wished = {vf_id: frozenset(device.to_dict()) | {"mtu"} for vf_id, device in goal.devices.items()}
    changing = {i for i, driver in goal.drivers.items() if i in current.vfs and current.vfs[i].driver != driver}
    loses = changing | set(goal.rebound) | current.present - goal.present
    names = {**dict.fromkeys(sorted(loses), frozenset({"mtu"})), **wished}
    return {vf_id: some for vf_id, some in names.items() if vf_id in current.vfs}
