# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies what decides what starts from an ESP into a folder.

Started from this source in a mount namespace of its own, which no other process sees; it must not import its
neighbours. Kernels are copied as far as they show their version, other files by name.
"""

from __future__ import annotations

import os
import subprocess
import sys

HEAD_BYTES = 0x10000
TEXT_BYTES = 4 << 20
MAX_FILES = 5000


def copy(source: str, target: str) -> None:
    """Copy the ESP below ``source``.

    Texts whole, others by their first bytes and their size.
    """
    count = 0
    for folder, _folders, files in os.walk(source):
        inner = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        os.makedirs(inner, mode=0o700, exist_ok=True)
        for name in files:
            count += 1
            if count > MAX_FILES:
                raise SystemExit(f"{source} has more than {MAX_FILES} files")
            _copy_file(os.path.join(folder, name), os.path.join(inner, name))


def _copy_file(source: str, target: str) -> None:
    whole = source.endswith((".conf", ".cfg")) or os.path.basename(source) == "grubenv"
    with open(source, "rb") as file, open(target, "wb") as copied:
        copied.write(file.read(TEXT_BYTES if whole else HEAD_BYTES))
        copied.truncate(os.fstat(file.fileno()).st_size)


def main(device: str, target: str) -> None:
    """Mount ``device`` read-only on ``target``, copy, and put the copy there."""
    mount = f"{target}.mount"
    os.makedirs(mount, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "vfat", "-o", "ro", device, mount], check=True)
    try:
        copy(mount, target)
    finally:
        subprocess.run(["umount", mount], check=True)
        os.rmdir(mount)


if __name__ == "__main__":
    main(*sys.argv[1:])
