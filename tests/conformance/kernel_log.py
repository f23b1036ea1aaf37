# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's log, by /dev/kmsg: messages of devices, and complaints.

After Documentation/ABI/testing/dev-kmsg.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

COMPLAINT = re.compile(
    r"WARNING:|BUG:|Oops|general protection|blocked for more than|possible .*deadlock"
    r"|circular locking|sleeping function|refcount_t:|unreferenced object|KASAN|KCSAN|UBSAN"
    r"|duplicate filename"
)


class Line(NamedTuple):
    """A line; ``seconds`` are since the kernel's start."""

    seconds: float
    text: str


def parse(record: str) -> Line | None:
    """A line from a record; None for garbage.

    A record is `PRIORITY,NUMBER,MICROSECONDS,FLAGS[,...];TEXT`, then lines with properties.
    """
    head, semicolon, text = record.partition(";")
    fields = head.split(",")
    if not semicolon or len(fields) < 3 or not fields[2].isdigit():
        return None
    return Line(int(fields[2]) / 1e6, text.partition("\n")[0])


def complaint(lines: list[Line]) -> str:
    """The first line that no kernel should print, or nothing."""
    return next((line.text for line in lines if COMPLAINT.search(line.text)), "")


def of_device(lines: list[Line], address: str) -> list[Line]:
    """Texts printed for a device, by whichever driver had it.

    Of `DRIVER ADDRESS: TEXT`, TEXT is returned.
    """
    prefix = re.compile(rf"^\S+ {re.escape(address)}: ")
    return [Line(line.seconds, prefix.sub("", line.text)) for line in lines if prefix.match(line.text)]


class KernelLog:
    """New lines since the last call, or since it was made.

    With ``boot``, the first call has lines from the kernel's first one on.
    """

    def __init__(self, boot: bool = False) -> None:
        self.handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.handle, 0, os.SEEK_SET if boot else os.SEEK_END)

    def __del__(self) -> None:
        os.close(self.handle)

    def lines(self) -> list[Line]:
        found: list[Line] = []
        while True:
            try:
                line = parse(os.read(self.handle, 8192).decode(errors="replace"))
            except BlockingIOError:
                return found
            except BrokenPipeError:  # lines were overwritten before they were read; the next is what is left
                continue
            if line:
                found.append(line)

    def __call__(self) -> str:
        """The first complaint among the new lines, or nothing."""
        return complaint(self.lines())
