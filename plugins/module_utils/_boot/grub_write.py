# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing grub.cfg: a power cut leaves the old or the new.

grub-mkconfig empties the file before it writes it (its last lines in GRUB 2.06: ``cat NEW > grub.cfg``). A host with
half a grub.cfg waits for a person. So it writes another file here, which then takes the place of grub.cfg.
"""

from __future__ import annotations

import contextlib
import os
import stat

from .._model.errors import KernelError, VerifyError
from .._system import durable
from .._system.process import Run
from .._system.sysfs import Sysfs

MAX_BYTES = 4 << 20
ASIDE = "grub.cfg.kvmfleet-sriov"
LEFT = (ASIDE, f"{ASIDE}.new")
"""What an interrupted run may leave, the second one of grub-mkconfig."""


def configuration(sysfs: Sysfs, run: Run, folder: str) -> None:
    """Have grub-mkconfig write ``folder``/grub.cfg, durably.

    Raises `VerifyError` when it wrote nothing: grub.cfg stays as it was.
    """
    try:
        run(["grub-mkconfig", "-o", sysfs.real(f"{folder}/{ASIDE}")])
        replace(sysfs, f"{folder}/grub.cfg", _written(sysfs, f"{folder}/{ASIDE}"))
    except BaseException:
        with contextlib.suppress(KernelError):  # why it failed says more: a read-only file system refuses this, too
            _clean(sysfs, folder)
        raise
    _clean(sysfs, folder)


def _clean(sysfs: Sysfs, folder: str) -> None:
    for name in LEFT:
        durable.remove(sysfs.real(f"{folder}/{name}"))


def _written(sysfs: Sysfs, path: str) -> bytes:
    data = sysfs.read_bytes(path, MAX_BYTES) if sysfs.exists(path) else b""
    if not data.strip():
        raise VerifyError(f"grub-mkconfig -o {path} reports no error and wrote nothing; run it to see what it says")
    return data


def replace(sysfs: Sysfs, path: str, data: bytes) -> None:
    """Replace a file, with the mode that it has."""
    try:
        mode = stat.S_IMODE(os.stat(sysfs.real(path)).st_mode)
    except FileNotFoundError:
        mode = 0o600
    durable.write_bytes(sysfs.real(path), data, mode)


def in_place(sysfs: Sysfs, path: str, data: bytes) -> None:
    """Write a file of one block over, as grub-editenv does.

    Raises `KernelError`.
    """
    try:
        with open(sysfs.real(path), "r+b") as file:
            file.write(data)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error
