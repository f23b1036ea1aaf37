# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errnos behind refusals, as iproute2's programs print them."""

from __future__ import annotations

import errno
import os
import re

_ANSWER = re.compile(r"(?:RTNETLINK|devlink|kernel) answers: (.+)")
"""lib/libnetlink.c, devlink/devlink.c and lib/mnl_utils.c of iproute2."""

_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_KERNEL_ONLY = {"Unknown error 524": errno.EOPNOTSUPP}
"""ENOTSUPP, which some drivers let out to user space (include/linux/errno.h)."""


def errno_of(stderr: str) -> int:
    """Errno in the errors of a program, or 0.

    0 where it prints only the driver's own words (``Error: mlx5_core: ...``), as ``ip`` does.
    """
    for text in _ANSWER.findall(stderr):
        words = text.strip()
        return _NUMBERS.get(words, _KERNEL_ONLY.get(words, 0))
    return 0


def name(number: int) -> str:
    """Name and text of an errno: ``EOPNOTSUPP (Operation not supported)``."""
    if number == 0:
        return "an error without a number"
    known = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, str(number))
    return f"{known} ({os.strerror(number)})"
