# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls without a wrapper in Python, by ctypes."""

from __future__ import annotations

import ctypes


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a raw system call; returns 0 or the errno.

    glibc has no wrapper for kexec_file_load.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [item if isinstance(item, bytes) or item is None else ctypes.c_long(item) for item in arguments]
    if int(libc.syscall(ctypes.c_long(number), *converted)) == 0:
        return 0
    return ctypes.get_errno()


def reboot(command: int) -> int:
    """Call reboot(2) by glibc, which fills in the magic numbers.

    Returns the errno, or does not return.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.reboot(ctypes.c_int(command))
    return ctypes.get_errno()
