# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All file I/O of the engine on /sys and /proc.

It is below one root, so that the same code runs on a fake tree.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from typing import TYPE_CHECKING

from .._model.errors import BlockedError, KernelError
from .._model.paths import WRITES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .writer import Writers

PIECE = 65536
"""Bytes of one read(2)."""


class Sysfs:
    """Files below ``root``, with paths as the host sees them.

    Every path is absolute (``/sys/bus/pci/...``). Each failed call raises `KernelError` with the path and the errno. A
    write is exactly one ``write(2)``, because kernfs takes every write as one command (fs/kernfs/file.c,
    kernfs_fop_write_iter).
    """

    def __init__(self, root: str = "/") -> None:
        self.root = root.rstrip("/")
        self._writers: Writers | None = None
        self._lock = threading.Lock()

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

    def read_all(self, paths: Sequence[str]) -> list[str]:
        """The texts of several files, as `read` gives them."""
        return [self.read(path) for path in paths]

    def read_bytes(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a binary file, or all it has."""
        try:
            handle = os.open(self.real(path), os.O_RDONLY)
            try:
                return os.read(handle, limit)
            finally:
                os.close(handle)
        except OSError as error:
            raise KernelError("read", path, error.errno or 0) from error

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

    def write_within(self, path: str, value: str, owner: str, seconds: float) -> None:
        """Write in another process, for at most ``seconds``.

        ``owner`` is the PF that others should not change meanwhile (`blocked`). In a queue it may take longer
        (`writer.Writers.write`). Raises `BlockedError` when the kernel has not answered in time.
        """
        from . import durable, process, writer

        folder = self.real(WRITES)
        durable.make_folder(folder)
        with self._lock:
            self._writers = self._writers or writer.Writers()
        answer = self._writers.write(f"{folder}/{owner}", self.real(path), value, seconds)
        if answer.what is None:
            raise BlockedError(
                f"'{value}' written to {path} has not come back after {answer.seconds:.1f} s: process {answer.pid} "
                f"({process.where(answer.pid)}) goes on waiting in the kernel"
            )
        if answer.errno and answer.what == writer.LOCK:
            raise KernelError("lock", f"{WRITES}/{owner}", answer.errno)
        if answer.errno:
            raise KernelError("write", path, answer.errno, value)

    def close(self) -> None:
        """End idle processes of `write_within`; the next write starts another."""
        if self._writers is not None:
            self._writers.close()

    def locked(self, path: str) -> bool:
        """Whether some process has locked the file by flock(2).

        Users other than its owner cannot open it, and learn it from the kernel's table.
        """
        try:
            handle = os.open(self.real(path), os.O_RDONLY)
        except PermissionError:
            return self._is_in_table_of_locks(path)
        except OSError as error:
            raise KernelError("open", path, error.errno or 0) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _is_in_table_of_locks(self, path: str) -> bool:
        """Whether /proc/locks is known to have it (fs/locks.c, lock_get_status)."""
        try:
            found = os.stat(self.real(path))
            rows = [line.split() for line in self.read("/proc/locks").splitlines()]
        except (OSError, KernelError):
            return False
        node = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        return any("FLOCK" in row and node in row for row in rows)

    def claimed(self, path: str) -> bool:
        """Whether a block device is in exclusive use.

        Mounted, swapped to, or part of another one (open(2), O_EXCL).
        """
        try:
            os.close(os.open(self.real(path), os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK))
        except OSError as error:
            return error.errno == errno.EBUSY
        return False

    def interface_ioctl(self, request: int, netdev: str, data: bytes) -> bytes:
        """What the kernel makes of ``data`` for an interface (netdevice(7)).

        The data is what a struct ifreq points to. Raises `KernelError`: below another root there is no interface.
        """
        import array
        import socket  # late: facts alone ask
        import struct

        answer = array.array("B", data)
        ifreq = struct.pack("16sP16x", netdev.encode()[:15], answer.buffer_info()[0])
        asked = ("ask for the driver of", f"network interface {netdev}")
        if self.root:
            raise KernelError(*asked, errno.ENODEV)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, request, ifreq)
        except OSError as error:
            raise KernelError(*asked, error.errno or 0) from error
        return answer.tobytes()

    def names(self, path: str) -> list[str]:
        """Sorted names in a folder; an absent folder has none."""
        try:
            return sorted(os.listdir(self.real(path)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KernelError("list", path, error.errno or 0) from error

    def listings(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """As `names`, by folder; one that cannot be read has none."""
        found: dict[str, list[str]] = {}
        for path in paths:
            try:
                found[path] = sorted(os.listdir(self.real(path)))
            except OSError:
                found[path] = []
        return found

    def entries(self, path: str) -> dict[str, bool]:
        """Names in a folder, and whether each is a folder.

        A link to a folder is none.
        """
        try:
            with os.scandir(self.real(path)) as found:
                return {one.name: one.is_dir(follow_symlinks=False) for one in found}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise KernelError("list", path, error.errno or 0) from error

    def device_number(self, path: str) -> str | None:
        """Number of the device that a file, or an open one, is.

        ``c MAJOR:MINOR``, with ``b`` for a block device; None for any other file, and for one that is gone.
        """
        try:
            found = os.stat(self.real(path))
        except OSError:
            return None
        kind = "c" if stat.S_ISCHR(found.st_mode) else "b" if stat.S_ISBLK(found.st_mode) else ""
        return f"{kind} {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if kind else None

    def regular(self, path: str) -> tuple[int, int] | None:
        """Device and inode of a plain file that a path leads to.

        None for anything else: it may block, or have no end. Links out of the root are not followed.
        """
        real = self.real(path)
        try:
            found = os.stat(real)
        except OSError:
            return None
        inside = not self.root or os.path.realpath(real).startswith(f"{os.path.realpath(self.root)}/")
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) and inside else None

    def link(self, path: str) -> str | None:
        """The last component of a symbolic link's target, None without a link."""
        target = self.target(path)
        return None if target is None else os.path.basename(target)

    def target(self, path: str) -> str | None:
        """The target of a symbolic link as written, None without a link."""
        try:
            return os.readlink(self.real(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KernelError("read link", path, error.errno or 0) from error
