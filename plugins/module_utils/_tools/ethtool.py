# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Driver information of interfaces, as ``ethtool -i`` shows it.

It comes from the kernel itself: many hosts have no such program.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._system.ethtool_ioctl import DRVINFO

_NOTHING = ("", "N/A", "n/a")


@dataclass(frozen=True)
class DriverInfo:
    """Versions that a driver reports; None where it reports none.

    ``version`` is the kernel's where the driver has none of its own.
    """

    version: str | None = None
    firmware: str | None = None


def parse(answer: bytes) -> DriverInfo:
    _command, _driver, version, firmware, *_rest = DRVINFO.unpack(answer)
    return DriverInfo(_text(version), _text(firmware))


def _text(field: bytes) -> str | None:
    text = field.partition(b"\0")[0].decode(errors="replace").strip()
    return None if text in _NOTHING else text
