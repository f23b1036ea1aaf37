# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State files of stopped guests: durable and fingerprinted.

So a damaged or foreign one is never loaded.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass

from .._model.errors import BadInputError, KernelError
from .._system.durable import sync_folder

CHUNK = 1 << 20


@dataclass(frozen=True)
class Fingerprint:
    """``size`` in bytes and ``sha256`` (hex) of the whole file."""

    size: int
    sha256: str


def _digest(path: str) -> Fingerprint:
    digest, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as file:
        while True:
            data = file.read(CHUNK)
            if not data:
                return Fingerprint(size, digest.hexdigest())
            digest.update(data)
            size += len(data)


def _sync(path: str, errors: list[OSError]) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        errors.append(error)


def seal(path: str) -> Fingerprint:
    """Fingerprint a complete file while the disk writes it.

    Returns when both are done. Raises `BadInputError` for an empty file.
    """
    errors: list[OSError] = []
    writer = threading.Thread(target=_sync, args=(path, errors))
    writer.start()
    try:
        actual = _digest(path)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    finally:
        writer.join()
    if errors:
        raise KernelError("sync", path, errors[0].errno or 0) from errors[0]
    if actual.size == 0:
        raise BadInputError(f"{path}: the saved guest is empty")
    return actual


def verify(path: str, expected: Fingerprint) -> None:
    """Require the very file that was sealed.

    The size comes first, it costs nothing. Raises `BadInputError`.
    """
    try:
        size = os.stat(path).st_size
        if size != expected.size:
            raise BadInputError(f"{path}: {size} bytes, {expected.size} were saved")
        actual = _digest(path)
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    if actual != expected:
        raise BadInputError(f"{path}: sha256 {actual.sha256}, {expected.sha256} was saved")
