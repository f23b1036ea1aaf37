# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of stopped guests: durable, and known again.

So a damaged, foreign or older one is never loaded. Reading all of it again would take as long as writing it, with the
guest stopped, so a file is known by what its file system says of it (size and times), by the nonce in its header, and
by samples: a part without a single one of them is shorter than two 256ths of the file.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields

from .._model.errors import BadInputError, KernelError
from .._system.durable import sync_folder

HEADER = 4096
"""Bytes at a file's beginning that are ours; the guest's state follows."""
MAGIC = b"kvmfleet.sriov state of a VM\n"
NONCE = 32
"""Hexadecimal digits of a save's nonce."""
SAMPLES, SAMPLE = 256, 4096
"""Samples of a file, and bytes of each."""
CHUNK = 1 << 20
KEEP_SIZE = 1
"""FALLOC_FL_KEEP_SIZE (include/uapi/linux/falloc.h)."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Answers of a disk without the space.

Others are of what cannot reserve any.
"""


@dataclass(frozen=True)
class Fingerprint:
    """A file as it was sealed.

    ``size`` in bytes; ``nonce``: of its save; ``sha256`` (hex): of all of it if ``whole``, else of header, samples and
    tail; ``mtime_ns`` and ``ctime_ns``: its times.
    """

    size: int
    nonce: str
    sha256: str
    whole: bool = False
    mtime_ns: int = 0
    ctime_ns: int = 0

    @classmethod
    def parse(cls, data: object, where: str) -> Fingerprint:
        """Parse the fingerprint in a claim.

        Raises `BadInputError` with the path of what is wrong.
        """
        if not isinstance(data, dict) or set(data) != {item.name for item in fields(cls)}:
            raise BadInputError(f"{where}: {str(data)[:100]} is no fingerprint of a state")
        for item in fields(cls):
            kind = {"int": int, "str": str, "bool": bool}[str(item.type)]
            value = data[item.name]
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise BadInputError(f"{where}.{item.name}: {str(value)[:100]!r} is not {kind.__name__}")
        return cls(**data)


NO_FILE = Fingerprint(0, "", "")
"""Fingerprint of a VM without a state."""


def create(path: str) -> None:
    """Create a file with room for our header.

    In place of an older one.
    """
    try:
        if os.path.lexists(path):
            os.unlink(path)
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(HEADER))
    except OSError as error:
        raise KernelError("create", path, error.errno or 0) from error


def reserve(path: str, room: int) -> None:
    """Reserve the disk's space for a file, whose size stays.

    By fallocate(2), where the file system has it: a QEMU whose disk is full fails amid its writes, at which it may
    crash (`qemu/giving_up`). Raises `KernelError`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        with open(path, "r+b", buffering=0) as file:
            failed = libc.fallocate(file.fileno(), KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(HEADER + room))
    except OSError as error:
        raise KernelError("open", path, error.errno or 0) from error
    number = ctypes.get_errno() if failed else 0
    if number in FULL:
        raise KernelError(f"reserve {room >> 20} MiB for", path, number)


def flush(path: str) -> None:
    """Make durable what has been written until now, file and folder.

    Raises `KernelError`.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        raise KernelError("sync", path, error.errno or 0) from error


def seal(path: str, whole: bool = False) -> Fingerprint:
    """Mark a complete file with a nonce, make it durable, fingerprint it.

    ``whole``: by all of its bytes, which are read while the disk writes them. Raises `BadInputError` for a file without
    a state.
    """
    nonce = secrets.token_hex(NONCE // 2)
    errors: list[KernelError] = []
    try:
        if os.stat(path).st_size <= HEADER:
            raise BadInputError(f"{path}: the saved guest is empty")
        _mark(path, nonce)
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error

    def write() -> None:
        try:
            flush(path)
        except KernelError as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sha256 = _digest(path, nonce, whole)
    finally:
        writer.join()
    if errors:
        raise errors[0]
    now = _stat(path)
    return Fingerprint(now.st_size, nonce, sha256, whole, now.st_mtime_ns, now.st_ctime_ns)


def verify(path: str, expected: Fingerprint) -> None:
    """Require the very file that was sealed, and as it was.

    What costs nothing comes first. Raises `BadInputError`.
    """
    now = _stat(path)
    if now.st_size != expected.size:
        raise BadInputError(f"{path}: {now.st_size} bytes, {expected.size} were saved")
    nonce = _nonce(path)
    if nonce != expected.nonce:
        raise BadInputError(f"{path}: it is of another save (nonce {nonce or 'missing'}, saved was {expected.nonce})")
    times = (now.st_mtime_ns, now.st_ctime_ns)
    if not expected.whole and times != (expected.mtime_ns, expected.ctime_ns):
        late = (now.st_ctime_ns - expected.ctime_ns) / 1e9
        raise BadInputError(f"{path}: it was written to, or put there, {late:.3f} s after the save")
    sha256 = _digest(path, nonce, expected.whole)
    if sha256 != expected.sha256:
        what = "all of it" if expected.whole else "its samples"
        raise BadInputError(f"{path}: sha256 of {what} is {sha256}, {expected.sha256} was saved")


def samples(size: int, nonce: str) -> Iterator[int]:
    """Offsets of a file's samples, one in each 256th of it.

    Header and tail are among them. The nonce chooses them, so that the disk cannot know them before.
    """
    yield 0
    part = max(size // SAMPLES, SAMPLE)
    for number, start in enumerate(range(0, size, part)):
        drawn = int.from_bytes(hashlib.sha256(f"{nonce} {number}".encode()).digest()[:8], "big")
        yield start + drawn % max(1, part // SAMPLE) * SAMPLE
    yield max(0, size - SAMPLE)


def _digest(path: str, nonce: str, whole: bool) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            for piece in _all(file) if whole else _sampled(file, nonce):
                digest.update(piece)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    return digest.hexdigest()


def _all(file: io.FileIO) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")


def _sampled(file: io.FileIO, nonce: str) -> Iterator[bytes]:
    for place in samples(os.fstat(file.fileno()).st_size, nonce):
        yield os.pread(file.fileno(), SAMPLE, place)


def _mark(path: str, nonce: str) -> None:
    with open(path, "r+b", buffering=0) as file:
        file.write((MAGIC + nonce.encode() + b"\n").ljust(HEADER, b"\0"))


def _nonce(path: str) -> str:
    """The nonce in a file's header, empty without one."""
    try:
        with open(path, "rb", buffering=0) as file:
            head = file.read(len(MAGIC) + NONCE)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    return head[len(MAGIC) :].decode("ascii", "replace") if head.startswith(MAGIC) else ""


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
