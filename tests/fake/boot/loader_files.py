# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot loaders' own files, as Debian's packages have them.

`tools/setup` unpacks them into the cache; `KVMFLEET_EFI` names another root of them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.paths import cache

UNPACKED = cache() / "boot_loaders"
LOADERS = Path(os.environ.get("KVMFLEET_EFI", UNPACKED if UNPACKED.is_dir() else "/"))
SYSTEMD_BOOT = LOADERS / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
GRUB_MODULES = LOADERS / "usr/lib/grub/x86_64-efi"
GRUB_SIGNED = LOADERS / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
SHIM = LOADERS / "usr/lib/shim/shimx64.efi.signed"
ZFS_FUSE = Path(shutil.which("zfs-fuse") or LOADERS / "sbin/zfs-fuse")
MKFS_BTRFS = Path(shutil.which("mkfs.btrfs") or LOADERS / "sbin/mkfs.btrfs")
