# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings of specs that are reached without any VF."""

from __future__ import annotations

from collections.abc import Iterator

from .._document.document import PfSpec
from .._model.state import PfState
from .goal import Goal


def warned(current: PfState, spec: PfSpec, goal: Goal) -> Goal:
    """The goal with warnings of what is declared for no VF.

    None is to be enabled.
    """
    found = tuple(f"PF {current.address}: {text}" for text in _texts(current, spec))
    return goal._replace(notes=(*goal.notes, *found), warnings=(*goal.warnings, *found))


def _texts(current: PfState, spec: PfSpec) -> Iterator[str]:
    if spec.asked_max and current.total == 0:
        yield (
            "hardware_vfs comes to 0, as the device offers no VFs (sriov_totalvfs); switch SR-IOV on, or set a number "
            "of VFs, in its firmware (such as mlxconfig SRIOV_EN and NUM_OF_VFS)"
        )
    elif spec.vfs:
        yield "vfs are declared, and no VF is enabled, so none has these values; declare hardware_vfs as well"
