# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of the PF's network interface, which some drivers need up."""

from __future__ import annotations

from typing import NamedTuple

from .._model.drivers import ENABLE, RATES, facts_of
from .._model.properties import VfProperties
from .._model.settings import DOWN, UP
from .._model.state import PfState
from . import steps
from .goal import Goal
from .steps import Step


class LinkSteps(NamedTuple):
    """Steps before VFs are enabled, and after they have their properties."""

    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()


def links(current: PfState, goal: Goal) -> LinkSteps:
    """Steps to the declared link, up in between where needed.

    An interface that is down without being declared is down again afterwards.
    """
    now, then = current.settings.link, goal.target.settings.link or current.settings.link
    if now is None or then is None:
        return LinkSteps()
    needed = needs(current, goal)
    during = UP if needed or UP in (now, then) else DOWN
    carrier = bool(needed & RATES)
    return LinkSteps(
        (steps.set_link(current, now, during, carrier=carrier),) if now != during else (),
        (steps.set_link(current, during, then),) if during != then else (),
    )


def needs(current: PfState, goal: Goal) -> frozenset[str]:
    """Parts of the plan that the driver takes only while up."""
    known = facts_of(current.driver).needs_up
    if not known:
        return frozenset()
    number = 0 if goal.disruption.disables_all else current.enabled
    found = {ENABLE} if goal.target.enabled not in (0, number) else set()
    for vf_id, wanted in goal.target.properties.items():
        if all(getattr(wanted, name, None) is None for name in known):
            continue
        have = current.properties.get(vf_id) if vf_id < number else None
        found |= wanted.missing_in(have or VfProperties()).to_dict().keys()
    return known & found
