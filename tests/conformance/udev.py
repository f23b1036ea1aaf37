# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev stopped while cases run: its rules for all the VFs that come and go take longer than the cases themselves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

UNITS = ("systemd-udevd-kernel.socket", "systemd-udevd-control.socket", "systemd-udevd.service")


@contextmanager
def stopped() -> Iterator[None]:
    """On a host without udev, nothing. Afterwards network interfaces get their names, which came meanwhile."""
    if not shutil.which("udevadm"):
        yield
        return
    systemctl("stop")
    try:
        yield
    finally:
        systemctl("start")
        subprocess.run(["udevadm", "trigger", "--action=add", "--subsystem-match=net"], check=True)


def systemctl(verb: str) -> None:
    subprocess.run(["systemctl", verb, *UNITS], stdin=subprocess.DEVNULL, check=True)
