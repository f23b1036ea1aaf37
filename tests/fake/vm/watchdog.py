# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake watchdog of a node (Documentation/watchdog/watchdog-api.rst)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Any

import pytest

from .node import NEW, FakeNode

FOLDER = "/sys/class/watchdog/watchdog0"
IDENTITY, MODULE = "i6300ESB timer", "i6300esb"
SET_TIMEOUT = 0xC0045706


class FakeWatchdog:
    """A watchdog of ``node``, inactive at first.

    ``fed``: what was written to it, since it was opened; ``longest``: timeout that it takes.
    """

    def __init__(self, node: FakeNode, monkeypatch: pytest.MonkeyPatch, longest: int = 2046) -> None:
        self.node, self.longest, self.timeouts = node, longest, list[int]()
        self.patch = monkeypatch
        self.device = node.host.root / "dev/watchdog0"
        node.put("/dev/watchdog0", "")
        self.set(state="inactive", timeout=30, max_timeout=longest, pretimeout=0, nowayout=0, identity=IDENTITY)
        node.put("/sys/module/watchdog/parameters/stop_on_reboot", "0\n")
        self.can_feed("kernel/drivers/watchdog/i6300esb.ko.xz:\n")
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)

    def set(self, **files: object) -> None:
        for name, value in files.items():
            self.node.put(f"{FOLDER}/{name}", f"{value}\n")

    def hold(self) -> None:
        """Another program has it open, so that no other process can."""
        original = os.open

        def refusing(path: str, *arguments: Any, **named: Any) -> int:  # noqa: ANN401 - of os.open
            if path == str(self.device):
                raise OSError(errno.EBUSY, "Device or resource busy")
            return original(path, *arguments, **named)

        self.set(state="active")
        self.patch.setattr(os, "open", refusing)

    def can_feed(self, modules: str) -> None:
        """Modules of the new kernel, as modules.dep has them."""
        self.node.put(f"/lib/modules/{NEW}/modules.dep", modules)

    def ioctl(self, _handle: int, request: int, buffer: bytearray, _mutate: bool) -> int:
        assert request == SET_TIMEOUT
        (seconds,) = struct.unpack("i", bytes(buffer))
        if seconds > self.longest:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.timeouts.append(seconds)
        return 0

    def of_the_new_kernel(self) -> None:
        """Forget what the old kernel's process has open.

        Its thread lives on in the tests' process.
        """
        self.device.unlink()
        self.device.write_bytes(b"")

    @property
    def fed(self) -> bytes:
        return self.device.read_bytes()

    @property
    def stopped(self) -> bool:
        return self.fed.endswith(b"V")
