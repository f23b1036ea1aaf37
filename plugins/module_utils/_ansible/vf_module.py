# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Result of `sriov_vf`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._document import vf_request
from .._document.document import HostDocument
from .._model.vf_ids import describe
from .._system.process import Run
from .._system.sysfs import Sysfs
from .module import Module
from .sriov_module import ALLOW_OPTIONS, converged, is_full


def validated(arguments: Mapping[str, Any]) -> HostDocument:
    """The document in the module's arguments; raises `BadInputError`."""
    others = (*ALLOW_OPTIONS, "detail")
    return vf_request.validate({key: value for key, value in arguments.items() if key not in others})


def change(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Result of `sriov_vf`, the same in check mode, less the times."""
    report = converged(module, sysfs, run, validated(module.params))
    present = {plan.current.address: describe(plan.goal.target.present) for plan in report.plan.plans}
    return {**report.to_dict(is_full(module), module._diff), "present_vfs": present}
