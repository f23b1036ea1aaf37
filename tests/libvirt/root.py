# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system with libvirt, for tests.

Debian 13 from apt's own mirror, as a folder in the cache, made once in about a minute.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from lab.images.rootfs import SUITE, mirror
from lab.paths import cache, key
from lab.progress import run, step

PACKAGES = ("libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "qemu-utils")
LEFT_OUT = ("doc", "man", "locale", "info")
"""Folders of /usr/share that no test reads."""


def build() -> Path:
    """Make the tree, or reuse the cached one, which nobody writes to."""
    tree = cache() / "libvirt" / key([Path(__file__).read_bytes()]) / "root"
    tree.parent.mkdir(parents=True, exist_ok=True)
    with (tree.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            with step("root file system with libvirt (Debian 13 packages)"):
                _make(tree)
    return tree


def _make(tree: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tree.parent) as scratch:
        made = Path(scratch) / "root"
        argv = ["mmdebstrap", "--mode=root", "--variant=essential", f"--include={','.join(PACKAGES)}"]
        argv += ['--aptopt=APT::Install-Recommends "false"']
        argv += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
        run([*argv, SUITE, str(made), f"deb {mirror()} {SUITE} main"], log=tree.parent / "mmdebstrap.log")
        os.rename(made, tree)
