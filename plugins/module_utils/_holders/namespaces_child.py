# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child process that reads interfaces in other network namespaces.

It is started from this source (`namespaces`), so it must not import its neighbours. A process of its own: setns(2)
moves a task for good, and a namespace of somebody else may keep one waiting.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys

SIOCETHTOOL, GDRVINFO, CLONE_NEWNET = 0x8946, 0x00000003, 0x40000000
"""Numbers of include/uapi/linux/sockios.h, ethtool.h and sched.h."""

DRVINFO = struct.Struct("=I32s32s32s32s32s12sIIIII")
"""struct ethtool_drvinfo: cmd, driver, version, fw_version, bus_info, ..."""


def main() -> None:
    """Print the interfaces of each namespace, whose paths are arguments.

    JSON: a list of {bus address: name}, null for a namespace that is gone.
    """
    sys.stdout.write(json.dumps([interfaces() if _enter(path) else None for path in sys.argv[2:]]) + "\n")


def interfaces() -> dict[str, str]:
    """Interfaces of this namespace, up or not, by their device's bus address."""
    found = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as handle:
        for _index, name in socket.if_nameindex():
            address = bus_address(handle, name)
            if address:
                found[address] = name
    return found


def bus_address(handle: socket.socket, name: str) -> str:
    """Bus address of an interface's device: bus_info of ETHTOOL_GDRVINFO.

    The kernel fills it in for drivers that do not (net/ethtool/ioctl.c).
    """
    information = ctypes.create_string_buffer(DRVINFO.pack(GDRVINFO, *[b""] * 6, *[0] * 5), DRVINFO.size)
    request = struct.pack("16sP", name.encode(), ctypes.addressof(information)).ljust(40, b"\0")
    try:
        fcntl.ioctl(handle, SIOCETHTOOL, request)
    except OSError:
        return ""
    return bytes(DRVINFO.unpack(information.raw)[4]).split(b"\0")[0].decode(errors="replace")


def _enter(path: str) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return int(ctypes.CDLL(None).setns(handle, CLONE_NEWNET)) == 0
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
