# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs that change numbers of VFs: their effects and configurations.

What a run has left is recorded in /run; a PF that differs from it later was changed by somebody else. Configurations
have more forms than anybody can list (`other_writers`), effects have one.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .._model import vf_ids
from .._model.errors import BadInputError, KernelError, SriovError
from .._model.paths import DEVICES, LEFT
from .._model.state import PfState
from .._plan.plan import HostPlan
from .._readers import other_writers
from .._system import durable
from .._system.sysfs import Sysfs

_NUMBER = frozenset({"enable", "disable", "add", "remove"})
"""Steps that change which VFs there are."""


class Left(NamedTuple):
    """A PF's VFs as a run has left them, at ``time``.

    ``binding`` is the number of the link to its driver, another one each time it is bound (drivers/base/dd.c,
    driver_sysfs_add; fs/kernfs/dir.c, __kernfs_new_node): with its driver a PF's VFs go.
    """

    enabled: int
    present: list[int]
    time: float
    binding: int


def _record(sysfs: Sysfs, address: str) -> str:
    return f"{sysfs.root}{LEFT}/{address}"


def note(sysfs: Sysfs, pf: PfState) -> None:
    """Record a PF as this run leaves it.

    A failure to record is no error.
    """
    left = Left(pf.enabled, sorted(pf.present), round(time.time(), 3), _binding(sysfs, pf.address))
    path = _record(sysfs, pf.address)
    with contextlib.suppress(SriovError):
        durable.make_folder(os.path.dirname(path))
        durable.write_text(path, json.dumps(left._asdict()) + "\n", 0o644)


def forget(sysfs: Sysfs, address: str) -> None:
    """Delete the record of a PF that this run will change."""
    with contextlib.suppress(OSError):
        os.unlink(_record(sysfs, address))


def warned(sysfs: Sysfs, plan: HostPlan) -> HostPlan:
    """The plan with warnings of others, where it changes presence."""
    changing = [
        one.current for one in plan.plans if not one.current.unfinished and any(s.what in _NUMBER for s in one.steps)
    ]
    return plan._replace(others=(*effects(sysfs, changing), *(configured(sysfs) if changing else ())))


def effects(sysfs: Sysfs, pfs: Iterable[PfState]) -> Iterator[str]:
    """Warnings of PFs that others have changed since our last run."""
    for pf in pfs:
        left = _read(sysfs, pf.address)
        if left and left.binding == _binding(sysfs, pf.address) and _differs(left, pf):
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(left.time))
            present = vf_ids.describe(left.present)
            yield (
                f"PF {pf.address}: a run of this collection left {left.enabled} VFs enabled and {present} present "
                f"at {at}, and now {pf.enabled} are enabled and {vf_ids.describe(pf.present)} present: another program "
                "changes them as well; find it, and keep one writer"
            )


def configured(sysfs: Sysfs) -> Iterator[str]:
    """Warnings of other programs that are configured to set numbers of VFs."""
    for one in other_writers.find(sysfs):
        yield f"{one.kind} sets numbers of VFs as well, by {one.path}: keep one writer, and take the other away"


def _differs(left: Left, pf: PfState) -> bool:
    return (left.enabled, left.present) != (pf.enabled, sorted(pf.present))


def _read(sysfs: Sysfs, address: str) -> Left | None:
    """The record of a PF; None for a missing or unreadable one."""
    path = _record(sysfs, address)
    if not os.path.lexists(path):
        return None
    try:
        left = Left(**(durable.read_json(path) or {}))
        return left if _fits(left) else None
    except (BadInputError, KernelError, TypeError):
        return None


def _fits(left: Left) -> bool:
    """Whether the values have their types."""
    numbers = all(isinstance(one, (int, float)) for one in (left.enabled, left.time, left.binding))
    return numbers and isinstance(left.present, list) and all(isinstance(one, int) for one in left.present)


def _binding(sysfs: Sysfs, address: str) -> int:
    try:
        return os.lstat(f"{sysfs.root}{DEVICES}/{address}/driver").st_ino
    except OSError:
        return 0
