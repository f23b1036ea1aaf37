# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts at paths that are meant to break their readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._holders import block_devices, mountinfo, processes
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError
from tests.fake.linux import users
from tests.fake.linux.host import FakeHost

ODD = ("\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\r")
"""Line ends of Python that the kernel does not escape."""


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_a_path_with_a_line_end_of_pythons(tmp_path: Path, odd: str) -> None:
    host = FakeHost(tmp_path)
    line = (
        f"25 1 0:6 / /tmp/a{odd}b rw shared:2 - tmpfs x{odd}y rw\n31 1 259:3 / /srv\\040c rw - ext4 /dev/nvme1n1 rw\n"
    )
    users.put(host, "proc/self/mountinfo", line)
    found = [(one.device, one.point, one.source) for one in block_devices.read_mounts(host.sysfs)]
    assert found == [("0:6", f"/tmp/a{odd}b", f"x{odd}y"), ("259:3", "/srv c", "/dev/nvme1n1")]
    users.put(host, "proc/77/mountinfo", line)
    (host.root / "proc/77/fd").mkdir()
    (host.root / "proc/77/fd/3").symlink_to("/dev/null")
    assert processes.users(host.sysfs, {"c 1:3"}) == {}


@pytest.mark.parametrize("line", ["x", "1 2 3:4 / /a rw", "1 2 3:4 / - ext4 /dev/sda rw", "1 2 3:4 / /a rw - ext4"])
def test_what_is_no_mount_is_refused(line: str) -> None:
    with pytest.raises(RefusedError, match="/proc/9/mountinfo has a line that is no mount, so it may be about any VF"):
        list(mountinfo.rows("/proc/9/mountinfo", f"25 1 0:6 / /dev rw - devtmpfs udev rw\n{line}\n"))
