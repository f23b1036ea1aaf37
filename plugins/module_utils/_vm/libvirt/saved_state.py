# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file of a saved domain: libvirt's image, and disks.

The memory is in libvirt's image alone; this file says which image that is, and how the disks were.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from ..._model.errors import BadInputError, KernelError
from ..._system.sysfs import Sysfs
from .. import images as _images
from .. import state_file
from ..images import Image
from ..state_file import Fingerprint
from .save_image import SaveImage

LONGEST = 4 << 20


@dataclass(frozen=True)
class SavedState:
    """``image`` of libvirt, and ``disks`` as they were after the last flush."""

    image: SaveImage
    disks: tuple[Image, ...]

    def write(self, path: str, whole: bool) -> Fingerprint:
        """Write and seal the state file, durably."""
        state_file.create(path)
        data = {"image": self.image.to_dict(), "disks": [asdict(one) for one in self.disks]}
        try:
            with open(path, "ab") as file:
                file.write(json.dumps(data, sort_keys=True).encode())
        except OSError as error:
            raise KernelError("write", path, error.errno or 0) from error
        return state_file.seal(path, whole)

    @classmethod
    def read(cls, path: str) -> SavedState:
        """Read it; raises `BadInputError`."""
        try:
            with open(path, "rb") as file:
                file.seek(state_file.HEADER)
                data = json.loads(file.read(LONGEST))
        except OSError as error:
            raise KernelError("read", path, error.errno or 0) from error
        except (ValueError, RecursionError) as error:
            raise BadInputError(f"{path}: what follows its header is not JSON: {error}") from error
        if not isinstance(data, dict) or set(data) != {"image", "disks"}:
            raise BadInputError(f"{path}: {str(data)[:100]} is no state of a domain")
        disks = _images.parse(data["disks"], f"{path}: disks")
        return cls(SaveImage.parse(data["image"], f"{path}: image"), disks)

    @classmethod
    def is_whole(cls, path: str) -> bool:
        """Whether a state was written to its end."""
        try:
            cls.read(path)
        except (BadInputError, KernelError):
            return False
        return True

    def differences(self, sysfs: Sysfs) -> Iterator[str]:
        """What of the disks is not as it was, in words."""
        for before in self.disks:
            found = _images.difference(sysfs, before)
            if found is not None:
                yield f"image {before.name}: {found}"


def read_disks(sysfs: Sysfs, names: Collection[str]) -> tuple[Image, ...]:
    """All images after their last flush, made durable.

    libvirt changes their owner when it starts and ends a domain, and with it the time of that (ctime).
    """
    return tuple(_images.read(sysfs, name, owned=False) for name in names)
