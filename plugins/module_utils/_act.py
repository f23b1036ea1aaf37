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

WRITE_S, VF_S = 60.0, 2.0
"""Seconds that a write may take, and more for each VF that it brings or takes: real drivers need up to one for a VF."""


def act(sysfs: Sysfs, run: Run, pf: str, action: Action, careful: bool = False) -> None:
    """Carry out an action for the PF at address ``pf``.

    ``careful``: something on this host may be blocked in the kernel, so any write may queue up behind it. Raises
    `KernelError` for a write, `ToolError` for a program, `VerifyError` for properties that did not stick, and
    `BlockedError` for what the kernel did not end in time: it was left behind.
    """
    if isinstance(action, Command):
        run(action.argv)
    elif isinstance(action, ReadBack):
        _read_back(run, action)
    else:
        _write(sysfs, pf, action, careful or action.waits)


def _write(sysfs: Sysfs, pf: str, action: Write, within: bool) -> None:
    if action.missing_ok and not sysfs.exists(action.path):
        return
    value = action.value
    if action.device is not None:
        address = sysfs.link(action.device)
        if address is None:
            raise KernelError("find the VF behind", action.device, errno.ENOENT)
        value = address
    if within:
        sysfs.write_within(action.path, value, pf, WRITE_S + VF_S * action.vfs)
    else:
        sysfs.write(action.path, value)


def _read_back(run: Run, action: ReadBack) -> None:
    found = _netdev.read_properties(run, action.netdev)
    for vf_id, wanted in sorted(action.wanted.items()):
        if missing := wanted.missing_in(found.get(vf_id, VfProperties())):
            have = found.get(vf_id, VfProperties()).only(missing)
            raise VerifyError(
                f"VF {vf_id} of {action.netdev}: wanted {missing.to_dict()}, the driver reports {have.to_dict()}"
            )
