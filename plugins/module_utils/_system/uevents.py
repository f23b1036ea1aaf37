# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of kernel objects, as udev hears them (lib/kobject_uevent.c)."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Mapping

PROTOCOL, GROUP = 15, 1
"""NETLINK_KOBJECT_UEVENT, and the group of the kernel's own messages.

include/uapi/linux/netlink.h; udev sends what it has made of them to group 2.
"""
BUFFER = 4 << 20
"""Bytes that wait for their reader."""
LARGEST = 1 << 16


class Uevents:
    """The events since it was made."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self) -> tuple[list[Mapping[str, str]], bool]:
        """Events that have come by now, and whether some were lost."""
        found: list[Mapping[str, str]] = []
        lost = False
        while True:
            try:
                message, sender = self.connection.recvfrom(LARGEST)
            except BlockingIOError:
                return found, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if sender[0] == 0:  # of the kernel
                found.append(parse(message))


def listen() -> Uevents | None:
    """Begin to listen; None where that cannot be."""
    try:
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, PROTOCOL)
    except OSError:
        return None
    try:
        connection.bind((0, GROUP))
    except OSError:
        connection.close()
        return None
    with contextlib.suppress(OSError):  # more than rmem_max needs CAP_NET_ADMIN (socket(7))
        connection.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), BUFFER)
    return Uevents(connection)


def parse(message: bytes) -> Mapping[str, str]:
    """The variables of an event: ACTION, DEVPATH, and those of its kind."""
    texts = message.decode("utf-8", errors="replace").split("\0")
    return {name: value for name, mark, value in (text.partition("=") for text in texts) if mark}
