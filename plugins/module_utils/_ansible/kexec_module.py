# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `kexec_image`: load a kernel or unload it.

It needs no engine and no VMs, so none is packed.
"""

from __future__ import annotations

from typing import Any

from .._live_update.kexec import Image, Kexec, command_line
from .._model.paths import COMMAND_LINE, UPDATE_PARAMETER
from .._system.sysfs import Sysfs
from .._system.update_guard import refuse_during_update
from .module import Module


def declare(module: Module, kexec: Kexec) -> dict[str, Any]:
    """Load or unload the kernel; returns the result of `kexec_image`."""
    current, loaded = kexec.image(), kexec.loaded()
    desired = _image(module, kexec.sysfs) if module.params["state"] == "loaded" else None
    changed = loaded if desired is None else current != desired
    if changed and not module.check_mode:
        refuse_during_update(kexec.sysfs)
        if desired is None:
            kexec.unload()
        else:
            kexec.load(desired.image, desired.initrd, desired.command_line)
    before = {"loaded": loaded, **(vars(current) if current else {})}
    after = {"loaded": desired is not None, **(vars(desired) if desired else {})}
    return {"changed": changed, "loaded": desired is not None, "diff": {"before": before, "after": after}}


def _image(module: Module, sysfs: Sysfs) -> Image:
    line = module.params["command_line"]
    if not line:
        line = command_line(sysfs.read(COMMAND_LINE), None, UPDATE_PARAMETER)
    return Image.of(sysfs, module.params["image"], module.params["initrd"] or None, line)
