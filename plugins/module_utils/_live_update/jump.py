# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jump into the loaded kernel."""

from __future__ import annotations

from collections.abc import Callable

from .._model.errors import KernelError, RefusedError, SriovError
from .._model.update_deadlines import REMOUNT_S
from .disks import Disks
from .kexec import LOADED, Kexec

REBOOT_CMD_KEXEC = 0x45584543
"""Command of reboot(2): LINUX_REBOOT_CMD_KEXEC (include/uapi/linux/reboot.h)."""


def jump(
    kexec: Kexec, orderly: bool = False, remount_s: float = REMOUNT_S, look: Callable[[], None] = lambda: None
) -> None:
    """Start the loaded kernel.

    Never by ``reboot``, which goes through firmware when nothing is loaded. ``orderly`` lets systemd stop all units
    first; else disks are synced, remounted read-only, ``look`` has its last look (a sync may take minutes), and the
    kernel jumps. Returns only after an orderly request; raises what ``look`` raises, or when the kernel refuses, with
    the disks writable again.
    """
    if not kexec.loaded():
        raise RefusedError(f"{LOADED} is not 1: no kernel is loaded, kexec would have nothing to start")
    if orderly:
        kexec.run(["systemctl", "kexec"])
        return
    kexec.sync()
    disks = Disks(kexec.sysfs, kexec.run, kexec.sleep)
    disks.make_read_only(remount_s)
    try:
        look()
    except SriovError:
        disks.make_writable()
        raise
    number, left = kexec.reboot(REBOOT_CMD_KEXEC), ""
    try:
        disks.make_writable()
    except SriovError as error:
        left = f" [{error}]"
    raise KernelError("start", f"the loaded kernel with reboot(LINUX_REBOOT_CMD_KEXEC){left}", number)
