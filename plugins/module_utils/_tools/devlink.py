# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eswitches, firmware versions and VF ports by ``devlink`` (iproute2, devlink/devlink.c)."""

from __future__ import annotations

import errno
import json
from typing import Any

from .._model.errors import BadInputError, SriovError, ToolError
from .._model.settings import ESWITCH_MODES
from .._model.values import cut, printable, shown, whole_of
from .._system.process import Run
from . import tool_errors

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENODEV)
_STRANGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
"""Errors from an answer of another shape than that of devlink."""
_NOT_IN_KERNEL = "Failed to connect to devlink Netlink"
"""Answer on a kernel without CONFIG_NET_DEVLINK (devlink/devlink.c)."""


class NoEswitchError(BadInputError):
    """A PF has no eswitch."""

    name = "BadInputError"


def eswitch_mode(run: Run, address: str) -> str:
    """Read the eswitch mode of the PF at ``address``.

    Raises `NoEswitchError` for a PF without an eswitch, `BadInputError` for a mode that is none. The answer for the
    former is an entry without a mode (net/devlink/dev.c, devlink_nl_eswitch_fill) or EOPNOTSUPP, and ENODEV for a
    driver that does not use devlink; a kernel without devlink is not reached at all.
    """
    argv = ["devlink", "-j", "dev", "eswitch", "show", f"pci/{address}"]
    try:
        mode = _section(run, argv, "dev").get(f"pci/{address}", {}).get("mode")
    except ToolError as error:
        number = _errno_of(error)
        if number not in _UNSUPPORTED:
            raise
        raise _unsupported(address, number) from error
    if mode is None:
        raise _unsupported(address, errno.EOPNOTSUPP)
    if mode not in ESWITCH_MODES:
        raise BadInputError(
            f"PF {address}: its eswitch is in mode {shown(mode)}, which is none of {', '.join(ESWITCH_MODES)}"
        )
    return str(mode)


def set_eswitch(run: Run, address: str, mode: str) -> None:
    """Set the eswitch mode of the PF at ``address``.

    Raises `ToolError` with the driver's words and the kernel's errno.
    """
    run(["devlink", "dev", "eswitch", "set", f"pci/{address}", "mode", mode])


def running_versions(run: Run, address: str) -> dict[str, str]:
    """Versions of the device's running firmware, by name, perhaps none."""
    try:
        info = _section(run, ["devlink", "-j", "dev", "info", f"pci/{address}"], "info")
    except ToolError as error:
        if _errno_of(error) not in _UNSUPPORTED:
            raise
        return {}
    try:
        running = info.get(f"pci/{address}", {}).get("versions", {}).get("running", {})
        return {name: str(version) for name, version in running.items()}
    except _STRANGE as error:
        raise _not_understood("devlink -j dev info", address, error) from error


def vf_ports(run: Run, address: str) -> dict[int, tuple[str, str]]:
    """Ports and MAC addresses of a PF's VFs, by VF id.

    Only of VFs whose MAC address can be set by port. Ports of another host's VFs (``external``, on a DPU) are left out
    (Linux, devlink/devlink-port.rst).
    """
    ports = _section(run, ["devlink", "-j", "port", "show"], "port")
    try:
        return {
            whole_of(port["vfnum"]): (name, str(port["function"]["hw_addr"]).lower()) for name, port in ports.items()
            if name.startswith(f"pci/{address}/") and port.get("flavour") == "pcivf" and not port.get("external")
            and "hw_addr" in port.get("function", {})
        }  # fmt: skip
    except _STRANGE as error:
        raise _not_understood("devlink -j port show", address, error) from error


def set_port_mac(run: Run, port: str, mac: str) -> None:
    run(["devlink", "port", "function", "set", port, "hw_addr", mac])


def _not_understood(command: str, address: str, error: Exception) -> SriovError:
    return SriovError(f"'{command}' did not tell of {address} as devlink does: {cut(printable(repr(error)))}")


def _errno_of(error: ToolError) -> int:
    return errno.EOPNOTSUPP if _NOT_IN_KERNEL in error.stderr else tool_errors.errno_of(error.stderr)


def _unsupported(address: str, number: int) -> NoEswitchError:
    return NoEswitchError(
        f"PF {address}: eswitch_mode cannot be set: its driver has no eswitch "
        f"({tool_errors.name(number)}); leave it out"
    )


def _section(run: Run, argv: list[str], name: str) -> dict[str, dict[str, Any]]:
    output = run(argv)
    try:
        return {key: dict(entry) for key, entry in json.loads(output or "{}").get(name, {}).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SriovError(f"'{' '.join(argv)}' did not answer in JSON: {cut(printable(str(error)))}") from error
