# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out one action of a step."""

from __future__ import annotations

import errno

from . import _netdev
from ._errors import KernelError, VerifyError
from ._process import Run
from ._properties import VfProperties
from ._steps import Action, Command, ReadBack, Write
from ._sysfs import Sysfs


def act(sysfs: Sysfs, run: Run, action: Action) -> None:
    """Raises `KernelError` for a write, `ToolError` for a program, `VerifyError` for properties that did not stick."""
    if isinstance(action, Command):
        run(action.argv)
    elif isinstance(action, ReadBack):
        _read_back(run, action)
    else:
        _write(sysfs, action)


def _write(sysfs: Sysfs, action: Write) -> None:
    if action.missing_ok and not sysfs.exists(action.path):
        return
    value = action.value
    if action.device is not None:
        address = sysfs.link(action.device)
        if address is None:
            raise KernelError("find the VF behind", action.device, errno.ENOENT)
        value = address
    sysfs.write(action.path, value)


def _read_back(run: Run, action: ReadBack) -> None:
    found = _netdev.read_properties(run, action.netdev)
    for vf_id, wanted in sorted(action.wanted.items()):
        if missing := wanted.missing_in(found.get(vf_id, VfProperties())):
            have = found.get(vf_id, VfProperties()).only(missing)
            raise VerifyError(
                f"VF {vf_id} of {action.netdev}: wanted {missing.to_dict()}, the driver reports {have.to_dict()}"
            )
