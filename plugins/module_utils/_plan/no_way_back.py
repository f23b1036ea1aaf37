# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of a plan whose undo the PF's driver may refuse.

Many drivers take no address of zeros, though VFs start with one: what has been set cannot be taken back to none then.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._model.actions import Command
from .._model.drivers import REFUSES, TAKES, facts_of
from .._model.errors import FORCE
from .._model.properties import ADDRESSES, NO_GUID, NO_MAC, VfProperties
from . import vf_actions
from .plan import Plan

_NONE = (NO_MAC, NO_GUID)


def refusal(plan: Plan) -> str:
    """The refusal of a plan by what is known of the driver."""
    driver = plan.current.driver
    names = dict(_zeros(plan))
    if "mac" not in names or facts_of(driver).no_mac != REFUSES:
        return ""
    return f"PF {plan.current.address}: {text('mac', f'{driver} is known to refuse it (EINVAL)')}"


def trials(plan: Plan) -> Iterator[tuple[str, Command]]:
    """Properties whose undo may not work, with commands to try.

    Each sets what the VF has already: zeros.
    """
    for name, vf_id in _zeros(plan):
        if name != "mac" or facts_of(plan.current.driver).no_mac != TAKES:
            zeros = VfProperties(**{name: getattr(plan.current.properties[vf_id], name)})
            yield name, vf_actions.set_properties(plan.current, vf_id, zeros)


def text(name: str, answer: str) -> str:
    return (
        f"{name} of VFs that have none could not be taken back to none if a later step failed: {answer}; declare it "
        f"when VFs are enabled (hardware_vfs: 0 before), or allow this with {FORCE}"
    )


def _zeros(plan: Plan) -> Iterator[tuple[str, int]]:
    """Addresses that change from none, each with the first such VF.

    VFs that the plan enables are disabled again by its undo, which takes their addresses away.
    """
    if plan.goal.disruption.disables_all:
        return
    first: dict[str, int] = {}
    for vf_id, wanted in sorted(plan.goal.target.properties.items()):
        have = plan.current.properties.get(vf_id) if vf_id < plan.current.enabled else None
        for name in ADDRESSES if have else ():
            if getattr(have, name) in _NONE and getattr(wanted, name) not in (None, *_NONE):
                first.setdefault(name, vf_id)
    yield from first.items()
