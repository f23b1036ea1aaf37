# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silence the listeners to VFs that appear and disappear.

They would take longer than the cases.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

UDEV = ("systemd-udevd-kernel.socket", "systemd-udevd-control.socket", "systemd-udevd.service")
JOURNAL = "systemd-journald.service"
NO_KERNEL_LOG = Path("/run/systemd/journald.conf.d/conformance.conf")


@contextmanager
def silenced() -> Iterator[None]:
    """Stop udev, and the journal's reading of the kernel's lines.

    The latter is journald.conf(5), ReadKMsg=. Without systemd, nothing is done.
    """
    with ExitStack() as stack:
        if shutil.which("systemctl") and shutil.which("udevadm"):
            stack.enter_context(udev_stopped())
            stack.enter_context(journal_without_kernel())
        yield


@contextmanager
def udev_stopped() -> Iterator[None]:
    """Stop udev, and let it name new network interfaces afterwards."""
    systemctl("stop", *UDEV)
    try:
        yield
    finally:
        systemctl("start", *UDEV)
        subprocess.run(["udevadm", "trigger", "--action=add", "--subsystem-match=net"], check=True)


@contextmanager
def journal_without_kernel() -> Iterator[None]:
    NO_KERNEL_LOG.parent.mkdir(parents=True, exist_ok=True)
    NO_KERNEL_LOG.write_text("[Journal]\nReadKMsg=no\n")
    systemctl("restart", JOURNAL)
    try:
        yield
    finally:
        NO_KERNEL_LOG.unlink()
        systemctl("restart", JOURNAL)


def systemctl(verb: str, *units: str) -> None:
    subprocess.run(["systemctl", verb, *units], stdin=subprocess.DEVNULL, check=True)
