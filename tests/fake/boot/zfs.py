# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of ZFS, made without a kernel module.

zfs-fuse writes it: pools of version 23, which GRUB reads like newer ones. Its daemon runs in namespaces of its own, and
ends with the script.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .loader_files import ZFS_FUSE

POOL, DATASET = "bpool", "ROOT"
SIZE = 128 << 20
WRITE = f"""set -e
mount -t tmpfs none /run
mkdir -p /run/zfs /run/lock/zfs /run/files
"$1/zfs-fuse" --no-daemon --no-kstat-mount &
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -S /run/zfs/zfs_socket ] && break; sleep 0.5; done
"$1/zpool" create -m none -o cachefile=none {POOL} "$3"
"$1/zfs" create -o mountpoint=/run/files {POOL}/{DATASET}
cp -r "$2"/. /run/files
"$1/zfs" unmount {POOL}/{DATASET}
"$1/zpool" export {POOL}
"""


def write(tree: Path, image: Path) -> None:
    """Write a disk with the files of ``tree``."""
    with image.open("wb") as file:
        file.truncate(SIZE)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "timeout", "120"]
    argv += ["sh", "-c", WRITE, "sh", str(ZFS_FUSE.parent), str(tree), str(image)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"zfs-fuse: {done.stdout[-300:]} {done.stderr[-500:]}")


def inside(path: str) -> str:
    """The path of a file, as GRUB has it."""
    return f"/{DATASET}@{path}"
