# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First process of a host that is a folder.

It mounts, changes its root, and reaps orphans.

Run as a program in namespaces of its own, with the host's folder and the tree whose programs it uses.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
READY = "run/ready"


def mount(root: Path, tree: Path) -> None:
    """Mount a host's file systems below ``root``.

    Its programs are those of ``tree``, read-only.
    """
    _mount("--make-rprivate", "/")
    _mount("--bind", root, root)
    _mount("--bind", tree / "usr", root / "usr")
    _mount("-o", "remount,bind,ro", root / "usr")
    _mount("-t", "proc", "proc", root / "proc")
    _mount("-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev")
    for name in DEVICES:
        (root / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", root / "dev" / name)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    _mount("-t", "devpts", "-o", "newinstance,ptmxmode=666,mode=620", "devpts", root / "dev/pts")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    _mount("-t", "tmpfs", "tmpfs", root / "dev/shm")


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def main(root: str, tree: str) -> None:
    mount(Path(root), Path(tree))
    os.chroot(root)
    os.chdir("/")
    Path("/", READY).touch()
    keeper = os.fork()
    if not keeper:
        os.execv("/usr/bin/sleep", ["sleep", "infinity"])
    while os.wait()[0] != keeper:  # whatever is orphaned is reaped here
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
