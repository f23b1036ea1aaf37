# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ethtool -i`` shows of a network interface, asked of the kernel itself: many hosts have no such program."""

from __future__ import annotations

from dataclasses import dataclass

from .._system.ethtool_ioctl import DRVINFO

_NOTHING = ("", "N/A", "n/a")


@dataclass(frozen=True)
class DriverInfo:
    """None for what the driver does not tell. ``version`` is the kernel's where the driver has none of its own."""

    version: str | None = None
    firmware: str | None = None


def parse(answer: bytes) -> DriverInfo:
    _command, _driver, version, firmware, *_rest = DRVINFO.unpack(answer)
    return DriverInfo(_text(version), _text(firmware))


def _text(field: bytes) -> str | None:
    text = field.partition(b"\0")[0].decode(errors="replace").strip()
    return None if text in _NOTHING else text
