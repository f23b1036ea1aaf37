# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execution of one action of a step."""

from __future__ import annotations

import errno
import time

from .._model.actions import Action, Command, ReadBack, SetEswitch, SetLink, SetMtu, SetName, Write
from .._model.deadlines import NETDEV_S, WRITE_S, WRITE_VF_S
from .._model.errors import KernelError, PropertyError, ToolError, VerifyError
from .._model.paths import DRIVERS
from .._model.properties import VfProperties
from .._plan.steps import pairs
from .._readers import details, vf_properties
from .._system.patience import Patience, is_transient
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._tools import devlink, tool_errors
from . import interface_link, interface_name


def act(sysfs: Sysfs, run: Run, pf: str, action: Action, careful: bool = False) -> None:
    """Carry out an action for the PF at address ``pf``.

    ``careful``: something on this host may be blocked in the kernel, so any write may queue up behind it. Raises
    `KernelError` for a write, `ToolError` or `PropertyError` for a program, `DeadlineError` for an interface that does
    not appear, `VerifyError` for properties that did not stick, and `BlockedError` for a write that the kernel did not
    end in time: it is left waiting.
    """
    if isinstance(action, Command):
        _command(run, action)
    elif isinstance(action, ReadBack):
        _read_back(run, action)
    elif isinstance(action, SetEswitch):
        if devlink.eswitch_mode(run, action.pf) != action.mode:
            devlink.set_eswitch(run, action.pf, action.mode)
    elif isinstance(action, SetLink):
        interface_link.set_link(sysfs, run, action)
    elif isinstance(action, SetName):
        interface_name.set_name(sysfs, run, action)
    elif isinstance(action, SetMtu):
        _set_mtu(sysfs, pf, action, WRITE_S if careful else None)
    else:
        _write(sysfs, pf, action, WRITE_S + WRITE_VF_S * action.vfs if careful or action.waits else None)


def _write(sysfs: Sysfs, pf: str, action: Write, seconds: float | None) -> None:
    if action.missing_ok and not sysfs.exists(action.path):
        return
    value = action.value
    if action.device is not None:
        address = sysfs.link(action.device)
        if address is None:
            raise KernelError("find the VF behind", action.device, errno.ENOENT)
        value = address
    _send(sysfs, pf, action.path, value, seconds)
    if action.probes and action.device is not None:
        _bind(sysfs, pf, action.device, value, seconds)
    if action.missing_ok and sysfs.exists(action.path):
        raise VerifyError(f"'{value}' was written to {action.path}, and it is still bound")


def _bind(sysfs: Sysfs, pf: str, device: str, address: str, seconds: float | None) -> None:
    """Bind a VF that a probe left without driver, to learn why.

    drivers_probe hides most answers of a driver, bind returns them (drivers/base/dd.c, really_probe and
    device_driver_attach).
    """
    driver = None if sysfs.link(f"{device}/driver") else sysfs.read(f"{device}/driver_override")
    if driver is None or "/" in driver or not sysfs.exists(f"{DRIVERS}/{driver}/bind"):
        return
    try:
        _send(sysfs, pf, f"{DRIVERS}/{driver}/bind", address, seconds)
    except KernelError:
        if sysfs.link(f"{device}/driver") != driver:  # it may have come meanwhile
            raise


def _set_mtu(sysfs: Sysfs, pf: str, action: SetMtu, seconds: float | None) -> None:
    """Set a VF's MTU, again where udev renames its interface meanwhile."""
    until = time.monotonic() + NETDEV_S
    while True:
        try:
            netdev = interface_name.awaited(sysfs, action.folder, until)
            return _send(sysfs, pf, f"{netdev}/mtu", str(action.mtu), seconds)
        except KernelError as error:
            if error.errno not in details.RENAMED or time.monotonic() >= until:
                raise


def _send(sysfs: Sysfs, pf: str, path: str, value: str, seconds: float | None) -> None:
    """Write ``value``, again where the answer is transient.

    Without ``seconds``, wait however long the kernel takes.
    """

    def write() -> None:
        if seconds is None:
            sysfs.write(path, value)
        else:
            sysfs.write_within(path, value, pf, seconds)

    try:
        write()
    except KernelError as error:
        if not is_transient(error):
            raise
        Patience().again(write, error)


def _command(run: Run, action: Command) -> None:
    try:
        run(action.argv)
    except ToolError as error:
        if not action.parts:
            raise
        _one_by_one(run, action, error)


def _one_by_one(run: Run, action: Command, error: ToolError) -> None:
    """Set the properties one by one, to name the refused one.

    A MAC address that ``ip`` cannot set may be set by the VF's port. When the kernel takes each alone, none is to
    blame, and ``error`` stays.
    """
    by_port = False
    for given, argv in action.parts:
        try:
            if len(action.parts) == 1:
                raise error
            run(argv)
        except ToolError as refusal:
            if not _set_by_port(run, action.vf, given, refusal):
                raise _property_error(given, refusal) from refusal
            by_port = True
    if not by_port:
        raise error


def _set_by_port(run: Run, vf: tuple[str, int], given: VfProperties, refusal: ToolError) -> bool:
    """Whether the VF's port took a MAC address that ``ip`` cannot set."""
    if given.mac is None or tool_errors.errno_of(refusal.stderr) != errno.EOPNOTSUPP:
        return False
    try:
        return vf_properties.set_mac_by_port(run, *vf, given.mac)
    except ToolError:
        return False


def _property_error(given: VfProperties, error: ToolError) -> PropertyError:
    number = tool_errors.errno_of(error.stderr)
    named = given.to_dict()
    what = ", ".join(f"{name} {value}" for name, value in named.items())
    return PropertyError(what, tuple(named), number, tool_errors.name(number), error)


def _read_back(run: Run, action: ReadBack) -> None:
    current = vf_properties.read_vfs(run, action.pf, action.netdev, len(action.wanted))[1]
    for vf_id, wanted in sorted(action.wanted.items()):
        if missing := wanted.missing_in(current.get(vf_id, VfProperties())):
            have = current.get(vf_id, VfProperties()).only(missing)
            raise VerifyError(
                f"VF {vf_id} of {action.netdev}: wanted {pairs(missing.to_dict())}, the driver reports "
                f"{pairs(have.to_dict())}"
            )
