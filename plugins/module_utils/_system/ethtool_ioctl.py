# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ioctl of ethtool for driver information."""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from .._model.errors import KernelError

SIOCETHTOOL = 0x8946
"""The ioctl number (include/uapi/linux/sockios.h)."""


GDRVINFO = 0x00000003


DRVINFO = struct.Struct("=I32s32s32s32s32s12s5I")
"""The layout of struct ethtool_drvinfo for ETHTOOL_GDRVINFO (include/uapi/linux/ethtool.h)."""


_IFREQ = struct.Struct("16sP16x")
"""The layout of struct ifreq (netdevice(7)).

The name of the interface, then a union of at most 24 bytes, here a pointer.
"""


def ask(netdev: str) -> bytes:
    """The `DRVINFO` of the interface ``netdev`` of this machine.

    Raises `KernelError`, EOPNOTSUPP where it has none.
    """
    answer = array.array("B", DRVINFO.pack(GDRVINFO, *[b""] * 6, *[0] * 5))
    request = _IFREQ.pack(netdev.encode()[:15], answer.buffer_info()[0])
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    except OSError as error:
        raise KernelError("ask for the driver of", f"network interface {netdev}", error.errno or 0) from error
    return answer.tobytes()
