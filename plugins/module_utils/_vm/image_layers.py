# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices of the host that are made of a VM's image.

A loop device on a file; partitions, device-mapper and RAID devices, and loop devices, on a disk: whoever uses one of
them uses the image. What can only be read is none of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import BLOCK_DEVICES
from .._system.sysfs import Sysfs
from . import storage
from .images import BLOCK, FILE, GONE, Image, Key, key_at


@dataclass(frozen=True)
class Layer:
    """A block device; ``number``: MAJOR:MINOR; ``key``: among open files.

    ``loop``: a loop device; ``top``: no other device is made of it.
    """

    name: str
    number: str
    key: Key
    loop: bool
    top: bool


@dataclass(frozen=True)
class Devices:
    """The block devices of a host.

    ``loops``: name, file, and the file's key, of loop devices that are set up.
    """

    sysfs: Sysfs
    loops: tuple[tuple[str, str, Key], ...]

    @classmethod
    def read(cls, sysfs: Sysfs) -> Devices:
        return cls(sysfs, tuple(_loops(sysfs)))

    def of(self, image: Image) -> list[Layer]:
        """Devices that are made of an image, a disk itself among them."""
        if image.kind == FILE:
            return self._above(self._loops_on(image.name), loop=True)
        name = self._name(image.name) if image.kind == BLOCK else ""
        return self._above([name], loop=False) if name else []

    def _above(self, begin: Iterable[str], loop: bool) -> list[Layer]:
        found: dict[str, Layer] = {}
        waiting = [(name, loop) for name in begin]
        while waiting:
            name, is_loop = waiting.pop(0)
            number = _text(self.sysfs, name, "dev")
            if name in found or not number or _text(self.sysfs, name, "ro") == "1":
                continue
            uppers = [*self._parts(name), *_names(self.sysfs, f"{BLOCK_DEVICES}/{name}/holders")]
            waiting += [(upper, False) for upper in uppers] + [(one, True) for one in self._loops_on(f"/dev/{name}")]
            found[name] = Layer(name, number, key_at(self.sysfs, f"/dev/{name}"), is_loop, not uppers)
        return list(found.values())

    def _loops_on(self, path: str) -> Iterator[str]:
        mine, paths = key_at(self.sysfs, path), (path, storage.inside(self.sysfs, path))
        for name, file, theirs in self.loops:
            if file in paths or theirs == mine != GONE:
                yield name

    def _parts(self, name: str) -> list[str]:
        """Partitions of a disk are folders in its own."""
        folder = f"{BLOCK_DEVICES}/{name}"
        return [one for one in _names(self.sysfs, folder) if self.sysfs.exists(f"{folder}/{one}/partition")]

    def _name(self, path: str) -> str:
        """Kernel's name of a block device, whatever its node is called."""
        number = (self.sysfs.device_number(path) or "").removeprefix("b ")
        return os.path.basename(self.sysfs.target(f"{storage.NUMBERS}/{number}") or "") if number else ""


def _loops(sysfs: Sysfs) -> Iterator[tuple[str, str, Key]]:
    """(name, file, its key) of each loop device that is set up.

    Nothing is asked of file systems of other hosts, whose server may not answer: their files are known by name.
    """
    for name in _names(sysfs, BLOCK_DEVICES):
        file = _text(sysfs, name, "loop/backing_file") if name.startswith("loop") else ""
        if file:
            yield name, file, GONE if storage.is_shared(sysfs, file) else key_at(sysfs, file)


def _names(sysfs: Sysfs, folder: str) -> list[str]:
    try:
        return sysfs.names(folder)
    except KernelError:
        return []


def _text(sysfs: Sysfs, name: str, file: str) -> str:
    path = f"{BLOCK_DEVICES}/{name}/{file}"
    try:
        return sysfs.read(path) if sysfs.exists(path) else ""
    except KernelError:
        return ""
