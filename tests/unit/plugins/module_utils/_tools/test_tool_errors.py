# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errnos in the words of iproute2."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import tool_errors

# stderr, errno
ANSWERS = [
    ("RTNETLINK answers: Operation not supported\n", errno.EOPNOTSUPP),
    ("RTNETLINK answers: Invalid argument", errno.EINVAL),
    ("RTNETLINK answers: Protocol not supported", errno.EPROTONOSUPPORT),
    ("devlink answers: No such device\n", errno.ENODEV),
    ("Error: mlx5_core: Failed setting eswitch to offloads.\nkernel answers: Invalid argument\n", errno.EINVAL),
    ("kernel answers: Unknown error 524", errno.EOPNOTSUPP),
    ("Error: mtu greater than device maximum.\n", 0),
    ('Cannot find device "eth9"', 0),
    ("RTNETLINK answers: Something new", 0),
]


@pytest.mark.parametrize(("stderr", "number"), ANSWERS)
def test_errno_of(stderr: str, number: int) -> None:
    assert tool_errors.errno_of(stderr) == number


def test_name() -> None:
    assert tool_errors.name(errno.EOPNOTSUPP) == "EOPNOTSUPP (Operation not supported)"
    assert tool_errors.name(errno.ENOSPC) == "ENOSPC (No space left on device)"
    assert tool_errors.name(0) == "an error without a number"
