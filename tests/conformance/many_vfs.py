# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs with thousands of VFs, from the kernel module many_vfs.ko (lab/kernel/many_vfs/), where it lies beside this file.

No hardware and no emulated device that the cases run on has more than 127 VFs. The module is loaded for its cases only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NAME = "many_vfs"
MODULE = Path(__file__).resolve().parent / f"{NAME}.ko"
DRIVER = Path("/sys/bus/pci/drivers") / NAME
VFS = 4096
"""TotalVFs of each of its PFs."""
MANY = 1000
"""Cases that need as many VFs run on the module's PF; all others do not: that would take hours and show nothing new."""
PFS = 2


def loaded() -> bool:
    return DRIVER.exists()


def pfs() -> tuple[str, ...]:
    """Addresses of the module's PFs."""
    return tuple(sorted(path.name for path in DRIVER.glob("*:*")))


def load() -> None:
    argv = ["insmod", str(MODULE), f"pfs={PFS}", f"vfs={VFS}"]
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


def unload() -> str:
    """Unload it with all of its PFs and VFs; why not, if the kernel did not."""
    done = subprocess.run(["rmmod", NAME], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


@contextmanager
def there() -> Iterator[Sequence[str]]:
    """The module's PFs, while it is loaded. A kernel that cannot unload modules keeps them, with SR-IOV off."""
    if not loaded():
        load()
    try:
        yield pfs()
    finally:
        unload()
