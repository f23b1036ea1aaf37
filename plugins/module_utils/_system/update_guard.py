# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusal to change VFs while a live update is under way.

Until the update ends, it alone changes VFs.
"""

from __future__ import annotations

from .._model.errors import RefusedError
from .._model.paths import BOOT_ID, COMMAND_LINE, LIVE_UPDATE_STATUS, UPDATE_PARAMETER
from .sysfs import Sysfs


def live_update_phase(sysfs: Sysfs) -> str | None:
    """Phase of the live update under way in this boot, or None.

    The boot takes part when the update's status was written in it, or when this kernel was started to resume it.
    """
    if not sysfs.exists(LIVE_UPDATE_STATUS):
        return None
    from .update_folder import FINAL, Folder

    status = Folder.of(sysfs).read_status()
    if not status or status.get("phase") in FINAL:
        return None
    same_boot = status.get("boot_id") == sysfs.read(BOOT_ID)
    resuming = f"{UPDATE_PARAMETER}={status.get('manifest')}" in sysfs.read(COMMAND_LINE).split()
    return str(status.get("phase")) if same_boot or resuming else None


def refuse_during_update(sysfs: Sysfs) -> None:
    """Raise `RefusedError` while a live update is under way."""
    phase = live_update_phase(sysfs)
    if phase is not None:
        raise RefusedError(
            f"a live update of this host is under way (phase {phase}): VFs must stay as its manifest has them; wait "
            "for its end, or cancel it"
        )
