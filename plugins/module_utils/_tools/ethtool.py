# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Driver information of interfaces, as ``ethtool -i`` shows it.

It comes from the kernel itself: many hosts have no such program.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._system.sysfs import Sysfs

SIOCETHTOOL = 0x8946
"""The ioctl (include/uapi/linux/sockios.h)."""
GDRVINFO = 0x00000003
"""Its command for driver information (include/uapi/linux/ethtool.h)."""
DRVINFO = struct.Struct("=I32s32s32s32s32s12s5I")
"""The layout of struct ethtool_drvinfo (include/uapi/linux/ethtool.h)."""
_NOTHING = ("", "N/A", "n/a")


@dataclass(frozen=True)
class DriverInfo:
    """Versions that a driver reports; None where it reports none.

    ``version`` is the kernel's where the driver has none of its own.
    """

    version: str | None = None
    firmware: str | None = None


def ask(sysfs: Sysfs, netdev: str) -> DriverInfo:
    """The driver's answer about an interface.

    Raises `KernelError`, EOPNOTSUPP where it has none.
    """
    return parse(sysfs.interface_ioctl(SIOCETHTOOL, netdev, DRVINFO.pack(GDRVINFO, *[b""] * 6, *[0] * 5)))


def parse(answer: bytes) -> DriverInfo:
    _command, _driver, version, firmware, *_rest = DRVINFO.unpack(answer)
    return DriverInfo(_text(version), _text(firmware))


def _text(field: bytes) -> str | None:
    text = field.partition(b"\0")[0].decode(errors="replace").strip()
    return None if text in _NOTHING else text
