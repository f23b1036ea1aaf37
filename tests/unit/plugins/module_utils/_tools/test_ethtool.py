# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Driver and firmware of an interface, as kernels answer.

This machine's is one of them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import ethtool
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools.ethtool import DriverInfo


def answer(version: bytes, firmware: bytes) -> bytes:
    """struct ethtool_drvinfo, written from include/uapi/linux/ethtool.h."""
    texts = b"".join(text.ljust(32, b"\0") for text in (b"igb", version, firmware, b"0000:03:00.0", b""))
    return struct.pack("=I", 3) + texts + bytes(12) + struct.pack("=5I", 0, 1, 2, 3, 4)


# version, firmware, what they mean
ANSWERS = [
    (b"6.12.0", b"3.25, 0x800005cf", DriverInfo("6.12.0", "3.25, 0x800005cf")),
    (b"1.0.0\x004-amd64", b"", DriverInfo("1.0.0", None)),
    (b"", b"N/A", DriverInfo(None, None)),
    (b"5" * 32, b" 2.50 ", DriverInfo("5" * 32, "2.50")),
]


@pytest.mark.parametrize(("version", "firmware", "means"), ANSWERS)
def test_answers(version: bytes, firmware: bytes, means: DriverInfo) -> None:
    assert ethtool.parse(answer(version, firmware)) == means


def test_the_kernel_fills_the_buffer_that_the_request_points_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """struct ifreq of net/if.h: a name, and a pointer.

    The pointer is at offset 16, in 40 bytes where pointers have 8.
    """

    def ioctl(_socket: Any, number: int, request: bytes) -> int:  # noqa: ANN401 - a socket or its number
        assert (number, len(request)) == (0x8946, 32 + struct.calcsize("P"))
        assert request[:16] == b"eth0".ljust(16, b"\0")
        (pointer,) = struct.unpack_from("P", request, 16)
        assert ctypes.string_at(pointer, 4) == struct.pack("=I", 3)
        ctypes.memmove(pointer, answer(b"6.12.0", b"3.25"), 196)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert ethtool.ask(Sysfs(), "eth0") == DriverInfo("6.12.0", "3.25")


@pytest.mark.parametrize(("netdev", "number"), [("lo", errno.EOPNOTSUPP), ("none-such", errno.ENODEV)])
def test_this_kernel_says_no(netdev: str, number: int) -> None:
    """The loopback interface has no driver."""
    with pytest.raises(KernelError, match=f"the driver of network interface {netdev}: E") as caught:
        ethtool.ask(Sysfs(), netdev)
    assert caught.value.errno == number


def test_interfaces_below_another_root_are_not_those_of_this_machine() -> None:
    with pytest.raises(KernelError, match="network interface eth0: ENODEV"):
        ethtool.ask(Sysfs("/nowhere"), "eth0")
