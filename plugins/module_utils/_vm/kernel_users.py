# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of VMs' images that are no processes: the kernel's own.

A mounted file system, swap space, a loop device, a target for other hosts: none has a file open that /proc shows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from .._holders import block_devices
from .._holders.block_devices import Mount
from .._model.errors import KernelError, RefusedError
from .._system.sysfs import Sysfs
from .image_layers import Devices, Layer
from .images import FILE, GONE, UNCHECKED, Image, Key, key_at

CONFIG = "/sys/kernel/config"
LIO, NVMET = f"{CONFIG}/target/core", f"{CONFIG}/nvmet/subsystems"


@dataclass(frozen=True)
class KernelUsers:
    """One reading of them all.

    ``swaps`` and ``exports``: words by what they use. Mounts are known by device numbers, as any user can mount
    something, in a namespace of theirs, whose source is called like a disk. Of others (btrfs has numbers of its own, or
    mounts cannot be read) the kernel says that their device is claimed.
    """

    sysfs: Sysfs
    devices: Devices
    mounts: tuple[Mount, ...]
    swaps: Mapping[Key, str]
    exports: Mapping[Key, str]

    @classmethod
    def read(cls, sysfs: Sysfs) -> KernelUsers:
        mounts: tuple[Mount, ...] = ()
        with suppress(KernelError, RefusedError):
            mounts = tuple(block_devices.read_mounts(sysfs))
        swaps = {path: f"it is swap space (`swapoff {path}`)" for path in block_devices.read_swaps(sysfs)}
        return cls(sysfs, Devices.read(sysfs), mounts, _keys(sysfs, swaps), _keys(sysfs, _exports(sysfs)))

    def of(self, image: Image) -> tuple[str, ...]:
        """Users of an image, in words."""
        if image.kind == UNCHECKED:
            return ()
        layers = self.devices.of(image)
        found = [words for layer in layers for words in self._of_layer(layer)]
        if image.kind == FILE:
            found += self._listed(key_at(self.sysfs, image.name))
        return tuple(dict.fromkeys(f"its image {image.name} is in use by this host: {words}" for words in found))

    def _of_layer(self, layer: Layer) -> list[str]:
        found = [
            f"{mount.point} is mounted from /dev/{layer.name}{_seen_by(mount)} (`umount {mount.point}`)"
            for mount in self.mounts
            if mount.device == layer.number
        ]
        found += [f"/dev/{layer.name}: {words}" for words in self._listed(layer.key)]
        if layer.loop:
            found.append(f"/dev/{layer.name} is set up on it for writing (`losetup -d /dev/{layer.name}`)")
        if not found and layer.top and self.sysfs.claimed(f"/dev/{layer.name}"):
            found.append(f"something has claimed /dev/{layer.name} for itself")
        return found

    def _listed(self, one: Key) -> list[str]:
        return [table[one] for table in (self.swaps, self.exports) if one in table]


def _seen_by(mount: Mount) -> str:
    return f" in the mount namespace of process {mount.pid}" if mount.pid else ""


def _exports(sysfs: Sysfs) -> dict[str, str]:
    """What this host offers to others by iSCSI or NVMe, by path."""
    found = {}
    for path, kind in (
        *((f"{LIO}/{group}/{name}/udev_path", "target") for group, name in _pairs(sysfs, LIO)),
        *(
            (f"{NVMET}/{group}/namespaces/{name}/device_path", "NVMe target")
            for group in _names(sysfs, NVMET)
            for name in _names(sysfs, f"{NVMET}/{group}/namespaces")
        ),
    ):
        try:
            device = sysfs.read(path)
        except KernelError:
            continue
        if device.startswith("/"):
            found[device] = f"a {kind} of this host offers it to others ({os.path.dirname(path)})"
    return found


def _pairs(sysfs: Sysfs, folder: str) -> Iterator[tuple[str, str]]:
    for group in _names(sysfs, folder):
        for name in _names(sysfs, f"{folder}/{group}"):
            yield group, name


def _names(sysfs: Sysfs, folder: str) -> Sequence[str]:
    try:
        return sysfs.names(folder)
    except KernelError:  # a file among folders
        return ()


def _keys(sysfs: Sysfs, words: Mapping[str, str]) -> dict[Key, str]:
    found = {key_at(sysfs, path): text for path, text in words.items()}
    found.pop(GONE, None)
    return found
