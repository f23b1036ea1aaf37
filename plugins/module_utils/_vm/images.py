# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of a VM's disks, distinguished from later ones.

Old memory must never meet newer disks: the guest's file system would be destroyed without a word.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace

from .._model.errors import BadInputError, KernelError
from .._system.sysfs import Sysfs
from . import storage

FILE, BLOCK, UNCHECKED = "file", "block", "unchecked"
HEAD, SAMPLES, SAMPLE = 4 << 20, 64, 4096
"""Bytes of a block device's beginning, and samples all over it.

Tables of partitions, and superblocks of those that begin at 1 MiB, are in the beginning.
"""
NUMBERED_ANEW = re.compile(r"vfat|msdos|exfat|ntfs3?|fuseblk|fuse(\..*)?|cifs|smb3?|9p|overlay")
"""File systems whose inode numbers may change with a mount."""
NUMBERS = ("inode", "size", "mtime_ns", "ctime_ns")
Key = tuple[int, int]
GONE: Key = (-1, -1)
"""Key of a file that is not there."""
NO_SYNC = (errno.EINVAL, errno.EROFS)
"""Answers of file systems that cannot be written to."""


@dataclass(frozen=True)
class Image:
    """An image, as it was when it was read.

    ``name``: a path, or a name with a protocol; ``kind``: file, block or unchecked; ``storage``: of `storage`.
    ``filesystem``: its identity, empty when unknown; ``inode``, ``ctime_ns``: 0 where it says nothing; ``sha256``: of a
    block device's beginning and samples, and of a file's without ctime.
    """

    name: str
    kind: str
    storage: str
    filesystem: str = ""
    inode: int = 0
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    sha256: str = ""


def find(sysfs: Sysfs, name: str, cwd: str = "/") -> Image:
    """Find an image, without its contents.

    ``cwd``: folder of the process that uses it. Raises `KernelError` for a path that is not there.
    """
    if re.match(r"[^/]+:", name):
        return Image(name, UNCHECKED, storage.SHARED)
    path = os.path.join(cwd, name)
    found = _stat(sysfs, path)
    if stat.S_ISBLK(found.st_mode):
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return Image(path, BLOCK, storage.of_device(sysfs, number))
    if not stat.S_ISREG(found.st_mode):
        return Image(path, UNCHECKED, storage.UNKNOWN)
    place = storage.of_path(sysfs, path)
    inode = 0 if NUMBERED_ANEW.fullmatch(place.kind) else found.st_ino
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return Image(path, FILE, place.storage, place.identity, inode, found.st_size, *times)


def read(sysfs: Sysfs, name: str, cwd: str = "/", owned: bool = True) -> Image:
    """Read an image whose last writes are made durable first.

    Its times too: they are in the inode, which a kexec would lose. ``owned``: nobody but us changes its owner or label,
    which moves its ctime; else a file has samples of its contents in place of that.
    """
    path = os.path.join(cwd, name)
    if find(sysfs, name, cwd).kind == UNCHECKED:
        return find(sysfs, name, cwd)
    _sync(sysfs, path)
    image = find(sysfs, name, cwd)
    if image.kind == FILE:
        return image if owned else replace(_sampled(sysfs, image), ctime_ns=0)
    return _sampled(sysfs, image)


def difference(sysfs: Sysfs, before: Image) -> str | None:
    """What of an image is not as it was; None for nothing.

    A file system without a known UUID, early in a boot, is recognised by the rest.
    """
    try:
        now = read(sysfs, before.name, owned=not before.sha256)
    except KernelError as error:
        return f"it cannot be read ({os.strerror(error.errno)})"
    if now.kind != before.kind:
        return f"it is {now.kind}, it was {before.kind}"
    if before.filesystem and now.filesystem and now.filesystem != before.filesystem:
        return f"it is on file system {now.filesystem}, it was on {before.filesystem}"
    if before.inode and now.inode and now.inode != before.inode:
        return f"it is another file (inode {now.inode}, it was {before.inode})"
    if now.size != before.size:
        return f"it has {now.size} bytes, it had {before.size}"
    if (now.mtime_ns, now.ctime_ns) != (before.mtime_ns, before.ctime_ns):
        later = now.ctime_ns - before.ctime_ns or now.mtime_ns - before.mtime_ns
        return f"it was changed {later / 1e9:.3f} s after the save"
    return None if now.sha256 == before.sha256 else "its contents are not those of the save"


def replaced(sysfs: Sysfs, pid: int, found: Collection[Image]) -> Iterator[str]:
    """Names of images that a process has not open at their paths.

    Another file was put there since: a new process would open that one.
    """
    held = set(_held(sysfs, pid))
    for image in found:
        if image.kind != UNCHECKED and key(_stat(sysfs, image.name)) not in held:
            yield image.name


def key(found: os.stat_result) -> Key:
    """What tells a file, or a block device whatever its node."""
    return (-1, found.st_rdev) if stat.S_ISBLK(found.st_mode) else (found.st_dev, found.st_ino)


def key_at(sysfs: Sysfs, path: str) -> Key:
    """The key of a file by its path."""
    try:
        return key(os.stat(sysfs.real(path)))
    except OSError:
        return GONE


def parse(data: object, where: str) -> tuple[Image, ...]:
    """Parse images of a claim.

    Raises `BadInputError` with the path of what is wrong.
    """
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {str(data)[:100]} is not a list")
    return tuple(_parse(item, f"{where}[{number}]") for number, item in enumerate(data))


def _parse(item: object, where: str) -> Image:
    names = {field.name for field in fields(Image)}
    if not isinstance(item, dict) or set(item) != names:
        raise BadInputError(f"{where}: {str(item)[:100]} is no image of a claim")
    for key, value in item.items():
        kind = int if key in NUMBERS else str
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadInputError(f"{where}.{key}: {str(value)[:100]!r} is not {kind.__name__}")
    return Image(**item)


def _stat(sysfs: Sysfs, path: str) -> os.stat_result:
    try:
        return os.stat(sysfs.real(path))
    except OSError as error:
        raise KernelError("find image", path, error.errno or 0) from error


def _sync(sysfs: Sysfs, path: str) -> None:
    try:
        handle = os.open(sysfs.real(path), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise KernelError("sync image", path, error.errno or 0) from error


def _sampled(sysfs: Sysfs, image: Image) -> Image:
    """An image with its size and the digest of its samples."""
    digest = hashlib.sha256()
    try:
        with open(sysfs.real(image.name), "rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            for start, length in [
                (0, HEAD),
                *((size * n // SAMPLES, SAMPLE) for n in range(SAMPLES)),
                (-SAMPLE, SAMPLE),
            ]:
                file.seek(max(0, size + start if start < 0 else start))
                digest.update(file.read(length))
    except OSError as error:
        raise KernelError("read image", image.name, error.errno or 0) from error
    return replace(image, size=size, sha256=digest.hexdigest())


def _held(sysfs: Sysfs, pid: int) -> Iterator[Key]:
    for name in sysfs.names(f"/proc/{pid}/fd"):
        try:
            yield key(os.stat(sysfs.real(f"/proc/{pid}/fd/{name}")))
        except OSError:
            continue
