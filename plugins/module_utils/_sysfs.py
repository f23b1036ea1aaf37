# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All file I/O of the engine on /sys and /proc, below one root, so that the same code runs on a fake tree."""

from __future__ import annotations

import os

from ._errors import KernelError

PIECE = 65536
"""Bytes of one read(2)."""


class Sysfs:
    """Files below ``root``; every path is absolute as the host sees it (``/sys/bus/pci/...``).

    Each failed call raises `KernelError` with the path and the errno. A write is exactly one ``write(2)``, because
    kernfs takes every write as one command (fs/kernfs/file.c, kernfs_fop_write_iter).
    """

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")

    def real(self, path: str) -> str:
        """The path to open on this machine."""
        return self.root + path

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.real(path))

    def read(self, path: str) -> str:
        """The whole file as text, without the newline at its end.

        By system calls alone: a resume reads hundreds of files, and Python's layers above cost more than the kernel.
        """
        try:
            handle = os.open(self.real(path), os.O_RDONLY)
            try:
                data = b"".join(iter(lambda: os.read(handle, PIECE), b""))
            finally:
                os.close(handle)
        except OSError as error:
            raise KernelError("read", path, error.errno or 0) from error
        return data.decode(errors="replace").rstrip("\n")

    def write(self, path: str, value: str) -> None:
        """Write ``value`` with one ``write(2)``."""
        try:
            handle = os.open(self.real(path), os.O_WRONLY)
            try:
                os.write(handle, value.encode())
            finally:
                os.close(handle)
        except OSError as error:
            raise KernelError("write", path, error.errno or 0, value) from error

    def names(self, path: str) -> list[str]:
        """Sorted names in a folder; an absent folder has none."""
        try:
            return sorted(os.listdir(self.real(path)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KernelError("list", path, error.errno or 0) from error

    def link(self, path: str) -> str | None:
        """The last component of what a symbolic link points to (a driver, a device address), None without a link."""
        target = self.target(path)
        return None if target is None else os.path.basename(target)

    def target(self, path: str) -> str | None:
        """What a symbolic link points to, as it stands there; None without a link."""
        try:
            return os.readlink(self.real(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KernelError("read link", path, error.errno or 0) from error
