# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a plan's drivers: there, loadable, with an IOMMU.

They are for check mode too, which would promise what is known to fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._model.errors import BadInputError, KernelError, ToolError
from .._model.paths import DEVICES, NO_IOMMU_MODE
from .._model.vf_ids import describe
from .._plan.plan import HostPlan, Plan
from .._system.process import Run
from .._system.sysfs import Sysfs

_NOT_INSTALLED = 127
_SWITCHED_OFF = re.compile(r"install\s+(/usr)?(/bin/)?(false|true)\b")
_BY_THE_PFS_DRIVER = ("enable", "disable", "add", "remove")
"""Steps that need a driver of the PF (drivers/pci/iov.c, sriov_numvfs_store)."""


def refuse_impossible(sysfs: Sysfs, run: Run, plan: HostPlan) -> None:
    """Raise `BadInputError` with all drivers that no VF could be bound to.

    Reads nothing where no driver changes.
    """
    found = [reason for one in plan.plans if one.steps for reason in _reasons(sysfs, run, one)]
    if found:
        raise BadInputError("; ".join(found))


def _reasons(sysfs: Sysfs, run: Run, plan: Plan) -> Iterator[str]:
    pf = plan.current.address
    if plan.current.driver is None and any(step.what in _BY_THE_PFS_DRIVER for step in plan.steps):
        yield (
            f"PF {pf}: it has no driver, and only a driver that supports SR-IOV changes its VFs (ENOENT); load that, "
            "or bind the PF to it"
        )
    for driver in [step.after for step in plan.steps if step.what == "load driver"]:
        if answer := _unloadable(run, driver):
            yield (
                f"PF {pf}: driver '{driver}' is not registered, and modprobe would not load it: {answer}; install the "
                "module, or write the name of another driver"
            )
    bound = {i: d for step in plan.steps if step.what == "bind" for i in step.ids if "vfio" in (d := step.after)}
    if bound and not _has_iommu(sysfs, pf):
        yield (
            f"PF {pf}: VFs {describe(bound)} cannot be bound to {', '.join(sorted({*bound.values()}))}: the PF has no "
            "iommu_group, so there is no IOMMU; enable it in the firmware and the kernel (intel_iommu=on)"
        )


def _unloadable(run: Run, driver: str) -> str:
    """The answer of modprobe to a driver that it would not load.

    modprobe.d(5): with ``install NAME /bin/false`` it does nothing, and ends well.
    """
    try:
        lines = run(("modprobe", "--dry-run", "--verbose", driver)).split("\n")
    except ToolError as error:
        return "" if error.status == _NOT_INSTALLED else " ".join(error.stderr.split())
    return next((f"modprobe.d has '{line.strip()}' for it" for line in lines if _SWITCHED_OFF.match(line)), "")


def _has_iommu(sysfs: Sysfs, pf: str) -> bool:
    """Whether VFIO works without danger, or is allowed to without an IOMMU."""
    if sysfs.exists(f"{DEVICES}/{pf}/iommu_group"):
        return True
    try:
        return sysfs.read(NO_IOMMU_MODE) in ("Y", "1")
    except KernelError:
        return False
