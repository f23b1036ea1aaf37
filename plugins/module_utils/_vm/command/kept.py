# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of VMs whose memory a manager keeps.

They have the disks alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from ..._model.errors import BadInputError, KernelError
from ..._system.sysfs import Sysfs
from .. import images as _images
from .. import state_file
from ..images import Image
from ..state_file import Fingerprint

LONGEST = 4 << 20


def write(path: str, disks: Sequence[Image], whole: bool) -> Fingerprint:
    """Write and seal the state file, durably."""
    state_file.create(path)
    try:
        with open(path, "ab") as file:
            file.write(json.dumps({"disks": [asdict(one) for one in disks]}, sort_keys=True).encode())
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error
    return state_file.seal(path, whole)


def read(path: str) -> tuple[Image, ...]:
    """Read the disks as they were; raises `BadInputError`."""
    try:
        with open(path, "rb") as file:
            file.seek(state_file.HEADER)
            data = json.loads(file.read(LONGEST))
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: what follows its header is not JSON: {error}") from error
    if not isinstance(data, dict) or set(data) != {"disks"}:
        raise BadInputError(f"{path}: {str(data)[:100]} is no state of a VM that its manager keeps")
    return _images.parse(data["disks"], f"{path}: disks")


def is_whole(path: str) -> bool:
    """Whether a state was written to its end."""
    try:
        read(path)
    except (BadInputError, KernelError):
        return False
    return True


def differences(sysfs: Sysfs, disks: Sequence[Image]) -> list[str]:
    """What of the disks is not as it was, in words."""
    found = ((one.name, _images.difference(sysfs, one)) for one in disks)
    return [f"image {name}: {why}" for name, why in found if why is not None]
