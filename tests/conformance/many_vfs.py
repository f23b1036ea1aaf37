# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PFs with thousands of VFs, from the kernel module many_vfs.ko.

It is of kernel/many_vfs/, and lies beside this file. No hardware and no emulated device that the cases run on has more
than 127 VFs. The module is loaded for its cases only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NAME = "many_vfs"
MODULE = Path(__file__).resolve().parent / f"{NAME}.ko"
DRIVER = Path("/sys/bus/pci/drivers") / NAME
DEVICES = Path("/sys/bus/pci/devices")
RESCAN = Path("/sys/bus/pci/rescan")
VFS = 4096
"""TotalVFs of each of its PFs."""
MANY = 1000
"""Cases that run on the module's PF.

On thousands of VFs the others would take hours and show nothing new.
"""
PFS = 2


def loaded() -> bool:
    return DRIVER.exists()


def pfs() -> tuple[str, ...]:
    """Addresses of the module's PFs."""
    return tuple(sorted(path.name for path in DRIVER.glob("*:*")))


def load() -> None:
    """Load the module, or find its removed PFs again."""
    if loaded():
        RESCAN.write_text("1")
    else:
        argv = ["insmod", str(MODULE), f"pfs={PFS}", f"vfs={VFS}"]
        subprocess.run(argv, stdin=subprocess.DEVNULL, check=True)


def remove() -> None:
    """Remove the module's PFs, with their VFs, from the system.

    The module itself stays.
    """
    for address in pfs():
        (DEVICES / address / "sriov_numvfs").write_text("0")
        (DEVICES / address / "remove").write_text("1")


@contextmanager
def there() -> Iterator[Sequence[str]]:
    """Have the module's PFs for as long as needed."""
    load()
    try:
        yield pfs()
    finally:
        remove()
