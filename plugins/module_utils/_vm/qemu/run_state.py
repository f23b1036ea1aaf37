# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest did when QEMU ended its migration by itself.

QEMU says `postmigrate` then, whether the guest ran or its user had paused it. The state has the difference: before it
stops the guest QEMU stores the run state in the section `globalstate` (migration/global_state.c): the length, and a
text of 100 bytes. It is among the devices, behind all memory.
"""

from __future__ import annotations

import os

from ..._model.errors import KernelError
from ..ending import StandsError

NAME = b"\x0bglobalstate"
BEHIND = 12
"""Bytes between name and text: instance, version, length."""
LENGTH = 100
MOST = 64 << 20
"""Bytes at a file's end in which it is looked for."""


def require_ran(name: str, path: str) -> None:
    """Require that a guest ran until its migration ended by itself.

    Raises `StandsError` for one that somebody else had stopped before.
    """
    found = stored(path)
    if found != "running":
        raise StandsError(f"VM {name} was {found[:40] or 'in an unknown state'} when it was copied: it is not saved")


def stored(path: str) -> str:
    """The run state in a complete state, empty where none is found."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST))
            data = file.read(MOST)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    begin = data.rfind(NAME)
    if begin < 0:
        return ""
    begin += len(NAME) + BEHIND
    return data[begin : begin + LENGTH].partition(b"\0")[0].decode("ascii", "replace")
