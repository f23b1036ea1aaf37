# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before the first step that undo can work."""

from __future__ import annotations

from .._model.errors import PropertyError, RefusedError
from .._plan import no_way_back
from .._plan.plan import HostPlan, Plan
from .._system.patience import is_transient
from .execute import act
from .undo import Applying, named, undone


def refuse_known(plan: HostPlan) -> None:
    """Refuse plans that drivers are known not to undo, unless forced."""
    reasons = [] if plan.force else [no_way_back.refusal(one) for one in plan.plans if one.steps]
    if any(reasons):
        raise RefusedError("; ".join(filter(None, reasons)))


def refuse_tried(host: Applying, plan: Plan) -> None:
    """Refuse a plan whose undo the PF's driver refuses, by trying.

    Raises `UndoneError`. What is tried sets what the VF has already.
    """
    for name, command in no_way_back.trials(plan):
        try:
            act(host.sysfs, host.run, plan.current.address, command)
        except Exception as error:  # whatever it is, nothing has been changed
            cause = named(error)
            if isinstance(cause, PropertyError) and not is_transient(cause):
                cause = RefusedError(no_way_back.text(name, str(cause)))
            raise undone(host, plan._replace(steps=()), 0, cause) from error
