# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a crash or a kexec one instruction later.

They are written aside, synced and renamed, and their folder is synced.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from typing import Any

from .._model.errors import BadInputError, KernelError


def sync_folder(folder: str) -> None:
    """Make renames and new names in ``folder`` durable.

    fsync(2): the entry in the directory is synced separately.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_private_folder(folder: str) -> None:
    """Create ``folder`` with mode 0700, and missing folders above it."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
    except OSError as error:
        raise KernelError("create folder", folder, error.errno or 0) from error


def write_json(path: str, value: object) -> None:
    """Replace ``path`` (mode 0600) by ``value`` as JSON, atomically.

    Either the old or the new content exists, never a mixture.
    """
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n", 0o600)


def write_text(path: str, text: str, mode: int) -> None:
    """Replace ``path`` by ``text``, atomically."""
    folder = os.path.dirname(path) or "."
    try:
        handle, aside = tempfile.mkstemp(prefix=".new-", dir=folder)  # mkstemp: 0600, O_EXCL
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(aside, path)
        except BaseException:
            os.unlink(aside)
            raise
        sync_folder(folder)
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in ``path``, None without a file.

    Raises `BadInputError` for contents that are not a JSON object.
    """
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path} holds {type(value).__name__}, expected an object")
    return value


def set_aside(path: str) -> str:
    """Keep a damaged file, or whatever is there, under another name.

    Returns the name; what was kept there before goes.
    """
    aside = f"{path}.damaged"
    try:
        if os.path.isdir(aside) and not os.path.islink(aside):
            shutil.rmtree(aside)
        elif os.path.lexists(aside) and os.path.isdir(path):
            os.unlink(aside)
        os.rename(path, aside)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        raise KernelError("keep aside", path, error.errno or 0) from error
    return aside


def require_private(path: str) -> None:
    """Refuse a file that somebody else could have written.

    It must be a plain file of this user (root) without rights for others. Raises `BadInputError`.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise BadInputError(
            f"{path}: owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}; expected a plain file of "
            f"user {os.geteuid()} with mode 600. Remove it and arm the update again."
        )


def remove(path: str) -> None:
    """Delete a file durably, if it exists."""
    try:
        os.unlink(path)
        sync_folder(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise KernelError("delete", path, error.errno or 0) from error
